"""The promises of a sender lane, on a log in memory and with clocks that are moved by hand."""

from dataclasses import replace

import pytest

from models.command import Command, Release
from pipeline.sending.breaker import TROUBLES_MAX
from pipeline.sending.outcome import Outcome
from pipeline.sending.protocol import FencedError
from pipeline.sending.suppressions import SOFT, SoftRule
from tests.sending.build import HOUR, MINUTE, T0, Bench, FakeProvider, cancel, command, mark


async def test_a_command_is_intended_before_it_is_called_and_ends_as_sent() -> None:
    bench, one = Bench(), command()
    seen: list[list[str]] = []
    bench.provider.on_call = lambda message: seen.append(bench.log.states(one))
    bench.log.put(one, mark())
    await bench.settle()
    assert seen == [["intent"]]
    assert bench.log.states(one) == ["intent", "sent"]
    assert bench.log.last(one).provider_id == "p1"
    assert bench.log.last(one).delivery_offset == 0


async def test_a_restart_after_the_end_sends_nothing_again() -> None:
    bench, one = Bench(), command()
    bench.log.put(one, mark())
    await bench.settle()
    await bench.restart()
    await bench.settle()
    assert len(bench.provider.calls) == 1


async def test_a_crash_between_intent_and_outcome_is_unknown_and_not_sent_twice() -> None:
    bench, one = Bench(), command()
    bench.log.put(one, mark())
    bench.log.before_commit = lambda done: setattr(bench.log, "fenced", done == 1)  # dies at the outcomes
    with pytest.raises(FencedError):
        await bench.settle()
    assert len(bench.provider.calls) == 1
    bench.log.before_commit, bench.log.fenced = None, False
    await bench.restart()
    await bench.settle()
    assert bench.log.states(one) == ["intent", "unknown"]
    assert len(bench.provider.calls) == 1


@pytest.mark.parametrize("why", ["key", "said"])
async def test_an_unknown_one_is_sent_again_where_that_makes_one_message_or_was_asked_for(why: str) -> None:
    bench, one = Bench(FakeProvider(idempotent=why == "key")), command(repeat_unknown=why == "said")
    bench.log.put(one, mark())
    bench.log.before_commit = lambda done: setattr(bench.log, "fenced", done == 1)
    with pytest.raises(FencedError):
        await bench.settle()
    bench.log.before_commit, bench.log.fenced = None, False
    await bench.restart()
    await bench.settle()
    assert bench.log.states(one) == ["intent", "intent", "sent"]
    assert len({call.command for call in bench.provider.calls}) == 1


async def test_one_that_may_be_repeated_but_was_cancelled_meanwhile_is_unknown_not_cancelled() -> None:
    bench, one = Bench(FakeProvider(idempotent=True)), command()
    bench.log.put(one, mark())
    bench.log.before_commit = lambda done: setattr(bench.log, "fenced", done == 1)
    with pytest.raises(FencedError):
        await bench.settle()
    bench.log.before_commit, bench.log.fenced = None, False
    bench.log.stopped.append(cancel(one))
    await bench.restart()
    await bench.settle()
    assert bench.log.states(one) == ["intent", "unknown"]


async def test_a_sender_frozen_between_intent_and_call_is_fenced_before_it_calls() -> None:
    bench, one = Bench(), command()
    bench.log.put(one, mark())
    thawed: list[int] = []

    def freeze(done: int) -> None:
        if done == 0:
            bench.clock.pass_ms(20_000)  # the intent is in, then the process stands still
            thawed.append(done)
        else:
            bench.log.fenced = True  # somebody took the partition over meanwhile

    bench.log.before_commit = freeze
    with pytest.raises(FencedError):
        await bench.settle()
    assert thawed and bench.provider.calls == []


async def test_a_check_over_5_s_old_is_made_anew_before_the_call() -> None:
    bench, one = Bench(), command()
    bench.log.put(one, mark())

    def freeze(done: int) -> None:
        if done == 0:
            bench.clock.pass_ms(6_000)
            bench.log.stopped.append(cancel(one))

    bench.log.before_commit = freeze
    await bench.settle()
    assert bench.provider.calls == []
    assert bench.log.states(one) == ["intent", "retry", "cancelled"]


async def test_the_call_knows_until_when_its_check_holds() -> None:
    bench = Bench()
    bench.log.put(command(), mark())
    await bench.settle()
    assert bench.provider.calls[0].call_by == bench.clock.ticks() + 5_000


async def test_a_cancel_stops_a_command_whatever_its_time_says_under_the_wall_clock() -> None:
    bench, one, other = Bench(), command(1), command(2)
    bench.log.put(one, other, mark())
    bench.log.stopped.append(cancel(one, at=T0 + MINUTE))
    await bench.settle()
    assert bench.log.states(one) == ["cancelled"]
    assert bench.log.states(other) == ["intent", "sent"]


async def test_under_the_records_clock_a_cancel_counts_only_if_it_is_not_after_the_command() -> None:
    bench, early, late = Bench(), command(1), command(2)
    bench.clock.wall = T0 + 900 * HOUR  # history: the host's clock must not matter
    bench.log.put(early, late, mark(T0 + HOUR, records=True))
    bench.log.stopped += [cancel(early, at=T0), cancel(late, at=T0 + 1)]
    await bench.settle()
    assert bench.log.states(early) == ["cancelled"]
    assert bench.log.states(late) == ["intent", "sent"]
    assert bench.log.last(late).at == T0


async def test_under_the_records_clock_a_retry_waits_by_the_wall_clock_and_is_then_sent() -> None:
    bench, one = Bench(FakeProvider(Outcome("retry", "busy", after_s=5))), command()
    bench.clock.wall = T0 + 900 * HOUR
    bench.log.put(one, mark(T0, records=True))
    await bench.settle()
    assert len(bench.provider.calls) == 1
    bench.clock.pass_ms(5_000)
    await bench.settle()
    assert bench.log.states(one) == ["intent", "retry", "intent", "sent"]


async def test_while_the_engine_is_catching_up_marketing_is_held_and_transactional_goes() -> None:
    bench, reminder, receipt = Bench(), command(1), command(2, purpose="transactional")
    bench.log.put(reminder, receipt, mark(T0 - 10_001))
    await bench.settle()
    bench.clock.pass_ms(2_000)
    await bench.settle()
    assert bench.log.states(reminder) == ["held"]  # once, however often it is looked at
    assert bench.log.states(receipt) == ["intent", "sent"]
    assert bench.lane.held == 1
    bench.log.put(mark(bench.clock.wall - 10_000))
    await bench.settle()
    assert bench.log.states(reminder) == ["held", "intent", "sent"]
    assert bench.lane.held == 0


async def test_what_is_held_is_cancelled_by_what_the_log_already_held() -> None:
    bench, one = Bench(), command()
    bench.log.put(one, mark(T0 - 4 * HOUR))
    await bench.settle()
    bench.log.stopped.append(cancel(one))
    bench.log.put(mark(T0))
    await bench.settle()
    assert bench.log.states(one) == ["held", "cancelled"]
    assert bench.provider.calls == []


async def test_a_held_command_is_still_held_once_after_a_restart() -> None:
    bench, one, other = Bench(), command(1), command(2, purpose="transactional")
    bench.log.put(one, other, mark(T0 - HOUR))
    await bench.settle()
    await bench.restart()
    await bench.settle()
    assert bench.log.states(one) == ["held"]
    bench.log.put(mark(T0))
    await bench.settle()
    assert bench.log.states(one) == ["held", "intent", "sent"]
    assert len(bench.provider.calls) == 2


async def test_nothing_goes_before_the_first_mark_has_said_which_clock_holds() -> None:
    bench, one = Bench(), command(purpose="transactional")
    bench.log.put(one)
    await bench.settle()
    assert bench.log.receipts == []
    bench.log.put(mark())
    await bench.settle()
    assert bench.log.states(one) == ["intent", "sent"]


async def test_a_command_past_its_time_expires_and_one_at_its_time_goes() -> None:
    bench, old, due = Bench(), command(1, valid_until=T0 - 1), command(2, valid_until=T0)
    bench.log.put(old, due, mark())
    await bench.settle()
    assert bench.log.states(old) == ["expired"]
    assert bench.log.states(due) == ["intent", "sent"]


async def test_a_retry_waits_longer_each_time_and_survives_a_restart() -> None:
    bench, one = Bench(FakeProvider(Outcome("retry", "451"), Outcome("retry", "451"))), command()
    bench.log.put(one, mark())
    await bench.settle()
    await bench.restart()
    await bench.settle()
    assert len(bench.provider.calls) == 1  # the wait was in the progress
    bench.clock.pass_ms(1_000)
    bench.log.put(mark(bench.clock.wall))
    await bench.settle()
    bench.clock.pass_ms(1_999)
    await bench.settle()
    assert len(bench.provider.calls) == 2
    bench.clock.pass_ms(1)
    await bench.settle()
    assert bench.log.states(one) == ["intent", "retry", "intent", "retry", "intent", "sent"]


async def test_a_retry_whose_command_is_cancelled_meanwhile_ends_before_its_wait_does() -> None:
    bench, one = Bench(FakeProvider(Outcome("retry", "451", after_s=600))), command()
    bench.log.put(one, mark())
    await bench.settle()
    bench.log.stopped.append(cancel(one))
    bench.clock.pass_ms(1_000)
    await bench.settle()
    assert bench.log.states(one) == ["intent", "retry", "cancelled"]


async def test_a_retry_that_never_succeeds_is_given_up_with_the_reason() -> None:
    bench, one = Bench(FakeProvider(*[Outcome("retry", "451 later")] * 50)), command(valid_until=T0 + 99 * HOUR)
    bench.log.put(one, mark())
    for _ in range(60):
        await bench.settle()
        bench.clock.pass_ms(5 * MINUTE)
        bench.log.put(mark(bench.clock.wall))
    assert bench.log.last(one).state == "rejected"
    assert "451 later" in bench.log.last(one).reason


async def test_outcomes_are_of_each_message() -> None:
    answers = (Outcome("accepted"), Outcome("rejected", "550 no such box"), Outcome("unknown", "cut off"))
    bench, three = Bench(FakeProvider(*answers)), [command(number) for number in (1, 2, 3)]
    bench.log.put(*three, mark())
    await bench.settle()
    assert [bench.log.last(one).state for one in three] == ["sent", "rejected", "unknown"]
    assert bench.log.last(three[1]).reason == "550 no such box"


async def test_what_a_provider_fails_with_is_unknown_and_reported() -> None:
    bench, one = Bench(), command()

    def burst(message: object) -> None:
        raise ZeroDivisionError("a fault of the provider's code")

    bench.provider.on_call = burst
    bench.log.put(one, mark())
    await bench.settle()
    assert bench.log.last(one).state == "unknown"
    assert "ZeroDivisionError" in bench.log.last(one).reason


async def test_commands_of_other_channels_are_left_to_their_senders() -> None:
    bench, other = Bench(), command(1, channel="sms")
    bench.log.put(other, mark(), command(2))
    await bench.settle()
    assert bench.log.states(other) == []
    assert bench.log.progress().waiting == ()


@pytest.mark.parametrize("address", ["nobody", "a@b@c", "x@y\r\nBcc: all@shop.example", "", "josé@shop.example", None])
async def test_an_address_that_is_none_is_rejected_before_any_intent(address: str | None) -> None:
    bench, one = Bench(), command(address=address)
    bench.log.put(one, mark())
    await bench.settle()
    assert bench.log.states(one) == ["rejected"]
    assert bench.log.last(one).reason.startswith("address: ")
    assert not address or address not in bench.log.last(one).reason  # no personal data in a reason


async def test_a_suppressed_address_is_rejected_with_the_reason() -> None:
    class Complained:
        def reason(self, command: Command, soft: SoftRule = SOFT) -> str | None:
            return "complained" if command.customer == "c1" else None

    bench = Bench(suppressions=Complained())
    bench.log.put(command(1), command(2), mark())
    await bench.settle()
    assert bench.log.last(command(1)).reason == "suppressed: complained"
    assert bench.log.states(command(2)) == ["intent", "sent"]


async def test_a_template_that_fails_for_one_customer_rejects_that_command_alone() -> None:
    bench, bad, good = Bench(), command(1, template="cart/broken", data={"total": 1, "zero": 0}), command(2)
    bench.log.put(bad, good, mark())
    await bench.settle()
    assert bench.log.states(bad) == ["rejected"]
    assert bench.log.last(bad).reason.startswith("template: cart/broken.en.txt")
    assert bench.log.states(good) == ["intent", "sent"]


async def test_over_1_percent_of_failing_templates_holds_the_scenario_until_it_is_released() -> None:
    bench = Bench()
    good = [command(number) for number in range(98)]
    bad = [command(200 + number, template="cart/broken", data={"total": 1, "zero": 0}) for number in range(2)]
    bench.log.put(*bad, *good, mark())
    await bench.settle()
    after, elsewhere = command(300), command(301, scenario="welcome")
    bench.log.put(after, elsewhere)
    await bench.restart()  # the brake is in the progress
    bench.log.put(mark())
    await bench.settle()
    assert bench.log.states(after) == ["held"]
    assert "templates fail" in bench.log.last(after).reason
    assert bench.log.states(elsewhere) == ["intent", "sent"]
    bench.log.put(Release(id="r1", scenario="cart", cancel=False, at=T0))
    bench.clock.pass_ms(1_000)
    await bench.settle()
    assert bench.log.states(after) == ["held", "intent", "sent"]


async def test_one_percent_of_failing_templates_holds_nothing() -> None:
    bench = Bench()
    bench.log.put(command(500, template="cart/broken", data={"total": 1, "zero": 0}))
    bench.log.put(*[command(number) for number in range(150)], mark())
    await bench.settle()
    assert bench.log.progress().braked == ()
    assert len(bench.provider.calls) == 150


async def test_an_operator_drops_the_held_commands_of_a_scenario_and_later_ones_go() -> None:
    bench, one, later = Bench(), command(1), command(2)
    bench.log.put(one, mark(T0 - HOUR))
    await bench.settle()
    bench.log.put(Release(id="r1", scenario="cart", cancel=True, at=T0), later, mark())
    bench.clock.pass_ms(1_000)
    await bench.settle()
    await bench.restart()
    await bench.settle()
    assert bench.log.states(one) == ["held", "cancelled"]
    assert bench.log.states(later) == ["intent", "sent"]


async def test_a_paused_scenario_waits_and_goes_when_the_operator_lets_it() -> None:
    class Switch:
        on = True

        def paused(self, channel: str, scenario: str) -> bool:
            return self.on and scenario == "cart"

    switch = Switch()
    bench, one = Bench(switches=switch), command(purpose="transactional")
    bench.log.put(one, mark())
    await bench.settle()
    assert bench.log.states(one) == ["held"]
    switch.on = False
    await bench.settle()
    assert bench.log.states(one) == ["held", "intent", "sent"]


async def test_a_provider_in_trouble_is_left_alone_and_then_asked_once() -> None:
    down = Outcome("retry", "not connected", trouble=True)
    bench = Bench(FakeProvider(*[down] * (TROUBLES_MAX + 1)))
    bench.log.put(*[command(number) for number in range(TROUBLES_MAX)], mark())
    await bench.settle()
    assert len(bench.provider.calls) == TROUBLES_MAX
    bench.clock.pass_ms(1_500)  # the retries are due, the breaker is open
    await bench.settle()
    assert len(bench.provider.calls) == TROUBLES_MAX
    bench.clock.pass_ms(600)
    await bench.settle()
    assert len(bench.provider.calls) == TROUBLES_MAX + 1
    for _ in range(30):
        bench.clock.pass_ms(2_000)
        bench.log.put(mark(bench.clock.wall))
        await bench.settle()
    assert all(bench.log.last(command(number)).state == "sent" for number in range(TROUBLES_MAX))


async def test_a_backlog_that_does_not_fit_is_parked_and_goes_after_the_hold_in_order() -> None:
    bench = Bench(kept_max=10)
    backlog = [command(number) for number in range(95)]
    urgent = command(500, purpose="transactional")
    bench.log.put(mark(T0 - HOUR), *backlog, urgent)
    await bench.settle()
    assert bench.log.states(urgent) == ["intent", "sent"]  # never behind what is held
    assert len(bench.provider.calls) == 1
    await bench.restart()
    bench.log.stopped.append(cancel(backlog[70]))
    bench.log.put(mark(T0))
    bench.clock.pass_ms(1_000)
    await bench.settle()
    assert bench.log.last(backlog[70]).state == "cancelled"
    others = [one for one in backlog if one is not backlog[70]]
    assert [bench.log.states(one)[-1] for one in others] == ["sent"] * 94
    assert [one.command for one in bench.provider.calls[1:]] == [one.id for one in others]
    assert bench.log.progress().waiting == ()


async def test_progress_moves_on_without_receipts_so_that_a_restart_reads_little() -> None:
    bench = Bench()
    bench.log.put(*[command(number, channel="sms") for number in range(1_500)], mark())
    await bench.settle()
    assert bench.log.progress().next == 1_501


async def test_a_cancel_is_kept_for_what_is_parked_however_long_a_backlog_takes() -> None:
    bench = Bench(kept_max=5)
    backlog = [command(number) for number in range(20)]
    bench.log.put(mark(T0 - HOUR), *backlog)
    await bench.settle()
    bench.log.stopped.append(cancel(backlog[15]))
    for _ in range(30):
        bench.clock.pass_ms(MINUTE)
        await bench.settle()
    bench.log.put(mark(bench.clock.wall))
    await bench.settle()
    assert bench.log.last(backlog[15]).state == "cancelled"
    assert len(bench.provider.calls) == 19


async def test_a_release_acts_once_and_not_again_when_it_is_read_again() -> None:
    bench = Bench(FakeProvider(Outcome("retry", "451", after_s=900)))
    waits = command(1, scenario="other")  # what comes after it is read again at a restart
    broken = [command(number, template="cart/broken", data={"total": 1, "zero": 0}) for number in range(10, 120)]
    more = [command(number, template="cart/broken", data={"total": 1, "zero": 0}) for number in range(200, 310)]
    bench.log.put(waits, mark(), *broken)
    await bench.settle()
    bench.log.put(Release(id="r1", scenario="cart", cancel=True, at=T0), *more)
    bench.clock.pass_ms(1_000)
    await bench.settle()
    assert bench.log.progress().braked == ("cart",)
    await bench.restart()
    bench.log.put(command(400), mark())
    await bench.settle()
    assert bench.log.states(command(400)) == ["held"]


UNKNOWN = Outcome("unknown", "cut off after the request", trouble=True)


async def test_an_unknown_outcome_is_sent_again_where_the_provider_knows_the_key() -> None:
    bench, one = Bench(FakeProvider(UNKNOWN, idempotent=True)), command()
    bench.log.put(one, mark())
    await bench.settle()
    assert bench.log.states(one) == ["intent", "retry"]
    bench.clock.pass_ms(1_000)
    bench.log.put(mark(bench.clock.wall))
    await bench.settle()
    assert bench.log.states(one) == ["intent", "retry", "intent", "sent"]
    first, second = (replace(call, call_by=None) for call in bench.provider.calls)
    assert first == second, "the key came with another content"


async def test_an_unknown_outcome_is_the_end_where_nothing_makes_it_one_message() -> None:
    bench, one = Bench(FakeProvider(UNKNOWN)), command()
    bench.log.put(one, mark())
    await bench.settle()
    assert bench.log.states(one) == ["intent", "unknown"]


@pytest.mark.parametrize("crash", [False, True])
async def test_a_key_that_the_provider_has_forgotten_meanwhile_repeats_nothing(crash: bool) -> None:
    provider = FakeProvider(Outcome("unknown", "cut", after_s=15 * 60), idempotent=True, key_holds_ms=15 * MINUTE)
    bench, one = Bench(provider), command()
    bench.log.put(one, mark())
    if crash:
        bench.log.before_commit = lambda done: setattr(bench.log, "fenced", done == 1)
        with pytest.raises(FencedError):
            await bench.settle()
        bench.log.before_commit, bench.log.fenced = None, False
    else:
        await bench.settle()
    bench.clock.pass_ms(13 * MINUTE + 1)
    await bench.restart()
    await bench.settle()
    assert bench.log.states(one)[-1] == "unknown"
    assert len(provider.calls) == 1


@pytest.mark.parametrize("answer", [Outcome("rejected", "no such box"), Outcome("retry", "busy", after_s=1)])
async def test_what_may_have_gone_out_is_never_called_rejected_expired_or_cancelled(answer: Outcome) -> None:
    bench, one = Bench(FakeProvider(UNKNOWN, *[answer] * 20, idempotent=True)), command()
    bench.log.put(one, mark())
    await bench.settle()
    for _ in range(30):
        await bench.restart()
        bench.clock.pass_ms(MINUTE)
        bench.log.put(mark(bench.clock.wall))
        await bench.settle()
    assert bench.log.states(one)[-1] == "unknown"
    assert bench.log.states(one).count("unknown") == 1


async def test_a_permanent_rejection_is_said_in_the_receipt() -> None:
    bench, one = Bench(FakeProvider(Outcome("rejected", "unregistered", permanent=True))), command()
    bench.log.put(one, mark())
    await bench.settle()
    assert bench.log.last(one).permanent


async def test_a_provider_gets_no_more_a_second_than_its_rate_also_after_it_was_away() -> None:
    bench = Bench(FakeProvider(rate=5))
    bench.log.put(*[command(number) for number in range(60)], mark())
    await bench.settle()
    assert len(bench.provider.calls) == 5
    for second in range(1, 4):
        bench.clock.pass_ms(1_000)
        bench.log.put(mark(bench.clock.wall))
        await bench.settle()
        assert len(bench.provider.calls) == 5 * (second + 1)
    bench.clock.pass_ms(HOUR)
    bench.log.put(mark(bench.clock.wall))
    await bench.settle()
    assert len(bench.provider.calls) == 25, "what was not sent meanwhile was saved up"
