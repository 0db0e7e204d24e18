"""The checks of a send in their order, the command that it emits, and the places under caps and limits."""

from dataclasses import replace
from typing import Any

from models.command import Cause
from models.ids import command_id
from pipeline.engine.plan import Cap, ExitRule, Limit, Plan, Scenario, Send, Settings, Split, Wait
from tests.engine.build import DAY, HOUR, MINUTE, OPEN, T0, Life, event, expr, plan, scenario, send, view

STRICT = Settings()


def suppressed(life: Life) -> list[tuple[str, str]]:
    found = [one for out in life.out for one in out.decisions if one.outcome in {"suppressed", "waiting"}]
    return [(one.step, one.reason) for one in found]


def mailing(*steps: Send, settings: Settings = OPEN, **more: Any) -> Plan:
    return plan(scenario(*(steps or (send("one", 1),))), settings=settings, **more)


def test_a_command_says_all_that_a_sender_needs() -> None:
    data = (("path", expr(lambda env: env.entry["url"])), ("pages", expr(lambda env: env.customer.profile.visits)))
    step = send("one", 2, data=data, valid_for_ms=HOUR, require=("in_stock",), repeat_unknown=True)
    under = plan(scenario(Wait(MINUTE, 1), step, entry_fields=("url",)), settings=STRICT)
    person = event(
        "customer_signed_up",
        T0 - 1,
        email="a@shop.example",
        language="fr",
        consents=[{"for_channel": "email", "given": True}],
    )
    entry = view(T0, url="/a")
    life = Life(under).feed(person, entry).until(T0 + HOUR)
    (command,) = life.commands
    assert command.id == command_id("s", entry.id, "one")
    assert (command.scenario, command.step, command.customer, command.version) == ("s", "one", "c1", "1")
    assert (command.channel, command.address, command.language) == ("email", "a@shop.example", "fr")
    assert (command.template, command.purpose, command.plan) == ("s/one", "marketing", "plan-1")
    assert command.data == {"path": "/a", "pages": 1}
    assert (command.due_at, command.emitted_at) == (T0 + MINUTE, T0 + MINUTE)
    assert command.valid_until == T0 + MINUTE + HOUR
    assert (command.require, command.repeat_unknown, command.depth) == (["in_stock"], True, 1)
    assert command.reason == Cause(event_id=entry.id, source_topic="test", partition=0, offset=entry.position.offset)


def test_a_value_that_is_missing_is_left_out_and_named_in_the_decision() -> None:
    step = send("one", 1, data=(("here", expr(lambda env: 1)), ("absent", expr(lambda env: env.entry["nothing"]))))
    life = Life(mailing(step)).feed(view(T0))
    assert life.commands[0].data == {"here": 1}
    assert life.out[0].decisions[-2].detail == {"missing": ["absent"]}


def test_every_send_that_is_emitted_is_a_decision_too() -> None:
    life = Life(mailing()).feed(view(T0))
    sent = next(one for one in life.out[0].decisions if one.outcome == "sent")
    assert (sent.step, sent.command, sent.scenario, sent.version) == ("one", life.commands[0].id, "s", "1")


def test_nothing_goes_out_while_a_scenario_or_everything_is_paused() -> None:
    for switches in ({"s": "paused"}, {"*": "paused"}, {"*": "stopped", "s": "paused"}):
        life = Life(mailing(switches=switches))
        life.feed(view(T0))
        assert life.sends == []
    life = Life(mailing(switches={"s": "paused", "other": "paused"})).feed(view(T0))
    assert suppressed(life) == [("one", "paused")]


def test_nothing_due_before_the_scenarios_activation_becomes_a_command() -> None:
    steps = (send("before", 1), Wait(HOUR, 2), send("after", 3))
    life = Life(plan(scenario(*steps), activated={"s": T0 + 1})).feed(view(T0)).until(T0 + DAY)
    assert suppressed(life) == [("before", "before_activation")]
    assert life.sends == [("after", T0 + HOUR)]


def test_the_first_channel_with_address_and_consent_is_taken() -> None:
    step = send("one", 1, channels=("push", "sms", "email"))
    person = event(
        "customer_signed_up",
        T0,
        phone="+33",
        email="a@shop.example",
        consents=[{"for_channel": "email", "given": True}],
    )
    life = Life(mailing(step, settings=STRICT)).feed(person, view(T0 + 1))
    assert [(one.channel, one.address) for one in life.commands] == [("email", "a@shop.example")]


def test_without_an_address_or_consent_the_first_obstacle_is_the_reason() -> None:
    assert suppressed(Life(mailing(settings=STRICT)).feed(view(T0))) == [("one", "no_address")]
    person = event("customer_signed_up", T0, email="a@shop.example")
    assert suppressed(Life(mailing(settings=STRICT)).feed(person, view(T0 + 1))) == [("one", "no_consent")]


def test_a_transactional_message_needs_an_address_and_no_consent() -> None:
    bill = send("bill", 1, purpose="transactional")
    person = event("customer_signed_up", T0, email="a@shop.example")
    assert len(Life(mailing(bill, settings=STRICT)).feed(person, view(T0 + 1)).sends) == 1
    assert suppressed(Life(mailing(bill, settings=STRICT)).feed(view(T0 + 1))) == [("bill", "no_address")]


def test_a_channel_of_the_store_itself_needs_no_address() -> None:
    hook = send("hook", 1, channels=("webhook",), purpose="internal")
    assert [one.address for one in Life(mailing(hook, settings=STRICT)).feed(view(T0)).commands] == [None]


def test_a_step_whose_name_was_sent_in_this_enrolment_is_not_sent_again() -> None:
    life = Life(mailing(send("one", 1), send("one", 2))).feed(view(T0))
    assert len(life.sends) == 1
    assert suppressed(life) == [("one", "already_sent")]


def limited(at_most: int, if_capped: str = "skip", per: int = DAY) -> Plan:
    step = send("one", 1, if_capped=if_capped)
    return plan(scenario(step, send("two", 2, if_capped=if_capped), limit=Limit(at_most, per)))


def test_a_limit_is_rolling_over_the_scenarios_messages() -> None:
    life = Life(limited(2)).feed(view(T0), view(T0 + DAY - 1), view(T0 + DAY))
    assert [at - T0 for _, at in life.sends] == [0, 0, DAY, DAY]
    assert suppressed(life) == [("one", "limit"), ("two", "limit")]


def test_a_capped_send_can_end_the_enrolment() -> None:
    life = Life(limited(1, "exit")).feed(view(T0))
    assert [step for step, _ in life.sends] == ["one"]
    assert ("exited", "limit") in life.reasons
    assert life.cancels == []


def test_a_capped_send_can_wait_until_the_first_place_falls_free() -> None:
    life = Life(limited(1, "wait")).feed(view(T0)).until(T0 + DAY)
    assert suppressed(life) == [("two", "limit")]
    assert [step for step, _ in life.sends] == ["one"]
    life.until(T0 + DAY + 1)
    assert life.sends[-1] == ("two", T0 + DAY)


def test_exits_act_while_a_send_waits_for_a_place() -> None:
    leaving = replace(limited(1, "wait").scenarios[0], exits=(ExitRule(on="order_placed", reason="bought"),))
    life = Life(plan(leaving)).feed(view(T0), event("order_placed", T0 + 1, order_id="o1")).until(T0 + 9 * DAY)
    assert [step for step, _ in life.sends] == ["one"]


def test_a_receipt_moves_the_place_gives_it_back_or_leaves_it() -> None:
    def second(state: str | None) -> list[int]:
        life = Life(plan(scenario(send("one", 1), limit=Limit(1, DAY)))).feed(view(T0))
        if state is not None:
            life.receipt(state, T0 + HOUR)
        return [at - T0 for _, at in life.feed(view(T0 + 2 * HOUR), view(T0 + DAY), view(T0 + DAY + HOUR)).sends[1:]]

    assert second(None) == second("unknown") == [DAY]
    assert second("sent") == [DAY + HOUR]
    for state in ("cancelled", "rejected", "expired"):
        assert second(state)[0] == 2 * HOUR, state


def capped(*caps: Cap, scenarios: tuple[Scenario, ...] = ()) -> Plan:
    settings = Settings(consent_default="granted", require_address=False, caps=caps)
    return plan(*(scenarios or (scenario(send("one", 1)),)), settings=settings)


def test_a_cap_counts_across_scenarios_by_channel_and_purpose() -> None:
    under = capped(
        Cap(1, DAY, "email", "marketing"),
        scenarios=(
            scenario(send("mail", 1), name="a"),
            scenario(send("mail", 1), name="b"),
            scenario(send("text", 1, channels=("sms",)), name="c"),
            scenario(send("bill", 1, purpose="transactional"), name="d", purpose="transactional"),
        ),
    )
    life = Life(under).feed(view(T0))
    assert [one.scenario for one in life.commands] == ["a", "c", "d"]
    assert suppressed(life) == [("mail", "capped")]


def test_places_are_kept_free_for_scenarios_of_a_higher_priority() -> None:
    cap = Cap(2, DAY, None, "marketing", free_above=80, free_count=1)
    low = scenario(send("low", 1), name="low", priority=50)
    high = scenario(send("high", 1), name="high", priority=80, on="order_placed")
    order = event("order_placed", T0 + 2, order_id="o1")
    life = Life(capped(cap, scenarios=(low, high))).feed(view(T0), view(T0 + 1), order)
    assert [step for step, _ in life.sends] == ["low", "high"]
    # The one that was kept free is taken: below 80 there is one left.
    life = Life(capped(cap, scenarios=(low, high))).feed(order, view(T0 + 3), view(T0 + 4))
    assert [step for step, _ in life.sends] == ["high", "low"]


def test_a_cap_that_allows_nobody_is_passed_over_even_by_who_would_wait() -> None:
    cap = Cap(1, DAY, None, "marketing", free_above=80, free_count=1)
    life = Life(capped(cap, scenarios=(scenario(send("one", 1, if_capped="wait")),))).feed(view(T0)).until(T0 + 9 * DAY)
    assert life.sends == []
    assert suppressed(life) == [("one", "capped")]
    assert life.known.enrolments == ()


def test_places_that_left_every_window_are_forgotten() -> None:
    life = Life(plan(scenario(send("one", 1), limit=Limit(5, DAY)))).feed(view(T0), view(T0 + DAY))
    assert [place.at for place in life.known.places] == [T0 + DAY]


def test_a_split_is_drawn_by_scenario_split_and_customer_and_a_test_can_choose() -> None:
    split = Split("half", (("a", 5_000, 1), ("b", 5_000, 2)))
    under = scenario(split, send("a", 3), send("b", 3))

    def path(customer: str, at: int, **more: Any) -> str:
        return Life(plan(under, **more)).feed(view(at, customer=customer)).sends[0][0]

    drawn = [path(f"c{n}", T0) for n in range(200)]
    assert drawn == [path(f"c{n}", T0 + DAY) for n in range(200)]
    assert 70 < drawn.count("a") < 130
    assert {path(f"c{n}", T0, choose={"half": "b"}) for n in range(20)} == {"b"}


def test_a_command_of_an_entry_that_is_read_late_keeps_its_due_time_and_deadline() -> None:
    steps = (Wait(10 * MINUTE, 1), send("one", 2, valid_for_ms=HOUR))
    life = Life(plan(scenario(*steps))).feed(view(T0, arrived=T0 + 30 * MINUTE))
    (command,) = life.commands
    assert (command.due_at, command.valid_until) == (T0 + 10 * MINUTE, T0 + 70 * MINUTE)


def test_reading_something_else_early_moves_no_deadline() -> None:
    steps = (Wait(10 * MINUTE, 1), send("one", 2, valid_for_ms=HOUR))
    life = Life(plan(scenario(*steps))).feed(view(T0)).feed(event("review_posted", T0 + DAY, rating=5), watermark=T0)
    (command,) = life.until(T0 + HOUR).commands
    assert (command.due_at, command.valid_until) == (T0 + 10 * MINUTE, T0 + 70 * MINUTE)
    assert command.emitted_at == T0 + DAY
