"""The rules of one journal partition, without a host."""

from dataclasses import replace as changed
from typing import Any

import pytest

from models.command import COMMAND_BYTES_MAX
from models.journal import ScenarioSwitched, SourceChanged, StateVersionSet
from pipeline.engine.env import Env
from pipeline.engine.plan import Done, Plan, Send, Wait
from pipeline.errors import RunError
from pipeline.runtime import stepping
from pipeline.runtime.partition import ContinuityError
from tests.engine.build import DAY, HOUR, MINUTE, OPEN, T0, abandoned, cart, event, expr, order, plan
from tests.runtime.kit import Desk, activated


def explode(env: Env) -> Any:
    raise ZeroDivisionError(env.customer.id)


def exploding(when: int = 45 * MINUTE) -> Plan:
    """A plan whose reminder cannot be made for c1."""

    def data(env: Env) -> Any:
        return explode(env) if env.customer.id == "c1" else "fine"

    broken = Send("reminder", ("email",), "t", "marketing", 2, data=(("x", expr(data)),))
    return plan(abandoned(program=(Wait(when, 1), broken, Done())))


def test_a_message_that_was_read_before_changes_nothing() -> None:
    desk = Desk()
    bought = desk.at(order(T0))
    desk.say(bought)
    desk.offset -= 1
    desk.say(bought)
    assert desk.counts["events"] == 1


def test_a_skipped_journal_message_stops_the_partition_before_anything_is_lost() -> None:
    desk = Desk()
    desk.offset += 1
    with pytest.raises(ContinuityError, match="messages 1 to 2 were skipped"):
        desk.read(desk.at(order(T0)))
    assert desk.progress.next_offset == 1


def test_an_event_that_ingest_wrote_twice_is_counted_and_applied_once() -> None:
    desk = Desk()
    bought = desk.at(order(T0))
    desk.say(bought)
    desk.say(bought)
    assert (desk.counts["events"], desk.counts["applied"], desk.counts["duplicate"]) == (2, 1, 1)
    known = desk.store.get("c1")
    assert known is not None and known.profile.orders == 1


def test_an_event_whose_step_raises_is_a_dead_letter_and_leaves_the_customer_as_it_was() -> None:
    broken = abandoned(entries=(changed(abandoned().entries[0], when=expr(explode)),))
    desk = Desk(plan(broken))
    desk.say(desk.at(order(T0)))
    before = desk.store.get("c1")
    batch = desk.say(desk.at(cart(T0 + MINUTE, "p1")), desk.at(order(T0 + HOUR, "o2", customer="c2")))
    assert desk.store.get("c1") == before
    [letter] = batch.dead_letters
    assert letter.stage == "engine" and "ZeroDivisionError" in letter.reason
    assert letter.offset == 2 and letter.source == "shop"
    assert desk.store.get("c2") is not None, "the next event is applied"
    counts = desk.counts
    assert counts["events"] == counts["applied"] + counts["duplicate"] + counts["dead"] == 3


def test_a_timer_whose_step_raises_ends_alone_with_a_decision_and_the_partition_goes_on() -> None:
    desk = Desk(exploding())
    desk.say(desk.at(cart(T0, "p1")), desk.at(cart(T0 + MINUTE, "p1", customer="c2")))
    desk.say(desk.tick(T0 + DAY))
    assert [row[:2] for row in desk.sends] == [("c2", "reminder")]
    assert ("failed", "ZeroDivisionError: c1") in desk.reasons
    known = desk.store.get("c1")
    assert known is not None and known.enrolments == ()
    assert known.cold.cart.items, "the rest of the customer is as it was"
    assert not desk.runtime.drain(), "nothing is due any more"


def test_a_timer_whose_step_raises_makes_no_dead_letter_of_the_event_that_came_upon_it() -> None:
    desk = Desk(exploding())
    desk.say(desk.at(cart(T0, "p1")))
    batch = desk.say(desk.tick(T0 + DAY), desk.at(order(T0 + DAY)))
    assert batch.dead_letters == []
    known = desk.store.get("c1")
    assert known is not None and known.profile.orders == 1
    assert ("failed", "ZeroDivisionError: c1") in desk.reasons


def test_a_command_over_its_cap_is_a_decision_and_no_stop() -> None:
    large = Send("reminder", ("email",), "t", "marketing", 2, data=(("x", expr(lambda _: "x" * COMMAND_BYTES_MAX)),))
    desk = Desk(plan(abandoned(program=(Wait(45 * MINUTE, 1), large, Done()))))
    desk.say(desk.at(cart(T0, "p1")))
    desk.say(desk.tick(T0 + DAY))
    assert desk.sends == []
    assert any(outcome == "failed" and "TooLarge" in reason for outcome, reason in desk.reasons)


def test_an_event_that_would_make_a_state_too_large_is_a_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepping, "STATE_BYTES_MAX", 400)
    desk = Desk()
    desk.say(desk.at(order(T0)))
    batch = desk.say(desk.at(event("customer_updated", T0 + 1, email="x" * 200)))
    [letter] = batch.dead_letters
    assert "400 are allowed" in letter.reason
    known = desk.store.get("c1")
    assert known is not None and known.cold.attributes == {}


def test_an_arrival_is_never_later_than_the_journal_message_that_carries_it() -> None:
    desk = Desk()
    desk.say(desk.at(order(T0 + DAY)), appended_at=T0)
    known = desk.store.get("c1")
    assert known is not None and known.profile.last_order_at == T0


def test_under_the_records_clock_no_arrival_is_capped() -> None:
    desk = Desk(records_clock=True)
    desk.say(desk.at(order(T0)), appended_at=0)
    known = desk.store.get("c1")
    assert known is not None and known.profile.last_order_at == T0


def test_the_events_of_a_source_that_is_still_joining_start_nothing() -> None:
    desk = Desk()
    desk.say(desk.tick(T0))
    desk.say(SourceChanged(id="join late", change="join", source="late"))
    late = desk.at(cart(T0, "p1"))
    desk.say(changed_source(late, "late"))
    assert desk.counts["silent"] == 1
    known = desk.store.get("c1")
    assert known is not None and known.cold.cart.items and not known.enrolments


def changed_source(one: Any, source: str) -> Any:
    from msgspec.structs import replace

    return replace(one, position=replace(one.position, source=source))


def test_a_timer_fires_only_when_the_watermark_has_passed_it() -> None:
    desk = Desk()
    desk.say(desk.at(cart(T0, "p1")), desk.tick(T0 + 45 * MINUTE))
    assert desk.sends == [], "at the same millisecond an event would win"
    desk.say(desk.tick(T0 + 45 * MINUTE + 1))
    assert desk.sends == [("c1", "reminder", T0 + 45 * MINUTE)]


def test_what_falls_due_inside_one_message_fires_before_the_events_that_follow_it() -> None:
    desk = Desk()
    desk.say(desk.at(cart(T0, "p1")), desk.tick(T0 + HOUR), desk.at(order(T0 + HOUR)))
    assert [row[1] for row in desk.sends] == ["reminder"]


def test_timers_drained_in_slices_with_commits_between_give_what_one_drain_gives() -> None:
    one, other = Desk(), Desk()
    for desk in (one, other):
        desk.say(*[desk.at(cart(T0 + number * 1000, "p1", customer=f"c{number}")) for number in range(23)])
    one.say(one.tick(T0 + HOUR))
    other.read(other.tick(T0 + HOUR))
    slices = 0
    while other.runtime.drain(4):
        other.commit()
        slices += 1
    other.commit()
    assert slices >= 5
    assert sorted(one.sends) == sorted(other.sends) and len(one.sends) == 23
    assert one.counts == other.counts


def test_a_drain_goes_on_from_the_committed_slice_after_a_restart() -> None:
    desk = Desk()
    desk.say(*[desk.at(cart(T0, "p1", customer=f"c{number:02}")) for number in range(9)])
    desk.read(desk.tick(T0 + HOUR))
    assert desk.runtime.drain(4)
    desk.commit()
    desk.open()
    while desk.runtime.drain(4):
        desk.commit()
    desk.commit()
    assert [row[0] for row in desk.sends] == [f"c{number:02}" for number in range(9)]


def test_one_batch_may_hold_many_slices_and_fires_each_timer_once() -> None:
    desk = Desk()
    desk.say(*[desk.at(cart(T0 + number, "p1", customer=f"c{number:02}")) for number in range(9)])
    desk.read(desk.tick(T0 + HOUR))
    while desk.runtime.drain(2):
        pass
    desk.commit()
    assert len(desk.sends) == len(set(desk.sends)) == 9


def test_a_control_record_acts_once_however_often_it_is_repeated() -> None:
    desk = Desk()
    pause = ScenarioSwitched(id="pause 1", scenario="abandoned-cart", state="paused", at=T0)
    desk.say(pause)
    desk.say(ScenarioSwitched(id="resume 1", scenario="abandoned-cart", state="active", at=T0))
    desk.say(pause)
    assert desk.progress.switches == {}


def test_a_control_record_is_a_barrier_what_was_due_before_it_is_done_first() -> None:
    desk = Desk()
    desk.say(
        desk.at(cart(T0, "p1")),
        desk.tick(T0 + HOUR),
        ScenarioSwitched(id="stop", scenario="*", state="paused", at=T0 + HOUR),
        desk.tick(T0 + 2 * DAY),
    )
    assert desk.sends == [("c1", "reminder", T0 + 45 * MINUTE)]
    assert ("suppressed", "paused") in desk.reasons


def test_a_state_version_that_this_release_cannot_write_stops_the_partition() -> None:
    desk = Desk()
    with pytest.raises(RunError, match="newer release"):
        desk.read(StateVersionSet(id="v9", version=9))


def test_events_before_any_plan_stop_the_partition_and_say_what_to_do() -> None:
    desk = Desk()
    desk.progress = changed_progress(desk, plan="")
    desk.open()
    with pytest.raises(RunError, match="activate a plan first"):
        desk.read(desk.at(order(T0)))


def changed_progress(desk: Desk, **fields: Any) -> Any:
    from msgspec.structs import replace

    return replace(desk.progress, **fields)


def two_plans() -> tuple[Plan, Plan]:
    first = plan()
    second = changed(plan(abandoned(version="2")), hash="plan-2", pinned=first.versions)
    return first, second


def passed(desk: Desk) -> dict[str, str]:
    names = desk.store.customers_after(None, 1_000)
    return {name: known.activated for name in names if (known := desk.store.get(name)) is not None}


def test_an_activation_passes_over_every_customer_in_slices_and_goes_on_after_a_restart() -> None:
    desk = Desk(*two_plans())
    desk.say(*[desk.at(order(T0, customer=f"c{number:02}")) for number in range(9)])
    desk.read(activated("plan-2", T0 + HOUR))
    assert desk.runtime.drain(4)
    desk.commit()
    assert list(passed(desk).values()).count("plan-2") == 4
    assert desk.progress.pass_cursor == "c03"
    desk.open()
    while desk.runtime.drain(4):
        desk.commit()
    desk.commit()
    assert set(passed(desk).values()) == {"plan-2"}
    assert desk.progress.pass_cursor is None


def test_a_customer_who_came_in_the_same_message_as_the_activation_is_passed_too() -> None:
    desk = Desk(*two_plans())
    desk.say(desk.at(order(T0, customer="c1")), activated("plan-2", T0 + HOUR))
    assert passed(desk) == {"c1": "plan-2"}


def test_an_event_brings_its_customer_to_the_new_plan_before_the_pass_does() -> None:
    desk = Desk(*two_plans())
    desk.say(desk.at(order(T0, customer="c1")), desk.at(order(T0, customer="c2")))
    desk.read(activated("plan-2", T0 + HOUR))
    desk.read(desk.at(order(T0 + 2 * HOUR, "o2", customer="c2")))
    desk.commit()
    assert passed(desk) == {"c1": "plan-1", "c2": "plan-2"}


def test_an_activated_plan_that_is_not_stored_stops_the_partition_and_names_it() -> None:
    desk = Desk()
    with pytest.raises(RunError, match="plan-9 is activated in the journal but not stored"):
        desk.read(activated("plan-9", T0))


def test_the_mark_says_up_to_where_all_sources_are_applied_and_comes_when_that_moves() -> None:
    desk = Desk()
    mark = desk.say(desk.tick(T0)).mark
    assert mark is not None and mark.applied_until == T0 and not mark.records_clock
    assert desk.say(desk.at(order(T0))).mark is None
    desk.open()
    assert desk.say(desk.at(order(T0 + 1, "o2"))).mark is None, "nor after a restart"


def test_a_batch_holds_the_last_state_of_every_changed_customer_with_its_bytes() -> None:
    desk = Desk(plan(settings=OPEN))
    desk.read(desk.at(order(T0)), desk.at(order(T0 + 1, "o2")), desk.at(event("erasure_requested", T0, "c2")))
    batch = desk.commit()
    assert set(batch.customers) == {"c1", "c2"} and batch.customers["c2"] is None
    known = batch.customers["c1"]
    assert known is not None and known.profile.orders == 2
    assert set(batch.encoded) == {"c1"}
