"""Exits, goals, closing enrolments and what is cancelled."""

from typing import Any

import pytest

from pipeline.engine.plan import Branch, Exit, ExitRule, Goal, Plan, Settings, Wait
from tests.engine.build import DAY, HOUR, MINUTE, T0, Life, cart, event, expr, order, plan, scenario, send, view

BOUGHT = (ExitRule(on="order_placed", reason="order_placed"),)


def mailing(**changes: Any) -> Plan:
    """One message at once, then the end: closing until it is settled or 24 h have passed."""
    return plan(scenario(send("one", 1), exits=BOUGHT, **changes))


def goals(life: Life) -> list[dict[str, Any]]:
    return [one.detail for out in life.out for one in out.decisions if one.outcome == "goal"]


def test_an_exit_acts_in_the_middle_of_a_wait() -> None:
    life = (
        Life(plan(scenario(Wait(DAY, 1), send("one", 2), exits=BOUGHT)))
        .feed(view(T0), order(T0 + 1))
        .until(T0 + 9 * DAY)
    )
    assert (life.sends, life.known.enrolments) == ([], ())
    assert ("exited", "order_placed") in life.reasons


def test_an_exit_before_the_entry_does_not_act() -> None:
    life = Life(plan(scenario(Wait(HOUR, 1), send("one", 2), exits=BOUGHT))).feed(view(T0), order(T0 - 1), watermark=T0)
    assert life.until(T0 + DAY).sends == [("one", T0 + HOUR)]


def test_an_exit_at_the_time_of_the_entry_acts() -> None:
    life = Life(plan(scenario(Wait(HOUR, 1), send("one", 2), exits=BOUGHT))).feed(view(T0), order(T0))
    assert life.until(T0 + DAY).sends == []


def test_where_chooses_the_event_that_ends() -> None:
    mine = expr(lambda env: env.event["order_id"] == env.entry["order_id"])
    exits = (ExitRule(on="order_cancelled", where=mine, reason="order_cancelled"),)
    life = Life(
        plan(scenario(Wait(HOUR, 1), send("one", 2), on="order_placed", exits=exits, entry_fields=("order_id",)))
    )
    life.feed(order(T0), event("order_cancelled", T0 + 1, order_id="other"))
    assert len(life.open) == 1
    assert life.feed(event("order_cancelled", T0 + 2, order_id="o1")).known.enrolments == ()


def test_a_where_on_a_missing_value_does_not_hold() -> None:
    exits = (ExitRule(on="order_cancelled", where=expr(lambda env: env.event["absent"] == 1), reason="x"),)
    life = Life(plan(scenario(Wait(HOUR, 1), exits=exits))).feed(
        view(T0), event("order_cancelled", T0 + 1, order_id="o")
    )
    assert len(life.open) == 1


@pytest.mark.parametrize("reads", [(), ("cart.items",)], ids=["reads unknown", "reads the cart"])
def test_a_condition_ends_when_an_event_makes_it_true(reads: tuple[str, ...]) -> None:
    empty = expr(lambda env: not env.customer.cold.cart.items, *reads)
    life = Life(plan(scenario(Wait(DAY, 1), exits=(ExitRule(when=empty, reason="empty"),))))
    life.feed(cart(T0, "a"), view(T0 + 1), view(T0 + 2))
    assert len(life.open) == 1
    assert ("exited", "empty") in life.feed(cart(T0 + 3)).reasons


@pytest.mark.parametrize("read", ["profile.orders", "customer.city", "now", "names.x"])
def test_a_condition_is_looked_at_whatever_part_of_the_state_it_reads(read: str) -> None:
    changed = expr(
        lambda env: env.customer.profile.orders > 0 and env.customer.cold.attributes["city"] is not None, read
    )
    life = Life(plan(scenario(Wait(DAY, 1), exits=(ExitRule(when=changed, reason="changed"),))))
    life.feed(view(T0))
    first, second = order(T0 + 1), event("customer_updated", T0 + 2, city="Lyon")
    life.feed(*((second, first) if read == "profile.orders" else (first, second)))
    assert ("exited", "changed") in life.reasons


def test_a_condition_that_an_event_from_before_the_entry_makes_true_ends_it_too() -> None:
    bought = expr(lambda env: env.customer.profile.orders > 0, "profile.orders")
    life = Life(plan(scenario(Wait(DAY, 1), exits=(ExitRule(when=bought, reason="bought"),))))
    life.feed(view(T0), order(T0 - MINUTE), watermark=T0)
    assert ("exited", "bought") in life.reasons
    assert [one.at for one in life.known.ended] == [T0], "nobody leaves before they entered"


def test_a_condition_on_time_is_looked_at_before_the_next_step() -> None:
    old = expr(lambda env: env.now - env.customer.profile.last_seen > HOUR, "now", "profile.last_seen")
    life = Life(plan(scenario(Wait(DAY, 1), send("one", 2), exits=(ExitRule(when=old, reason="gone"),)))).feed(view(T0))
    assert life.until(T0 + 9 * DAY).sends == []
    assert ("exited", "gone") in life.reasons


def test_an_exit_step_ends_and_lets_what_is_out_arrive() -> None:
    life = Life(plan(scenario(send("one", 1), Exit("enough")))).feed(view(T0))
    assert ("exited", "enough") in life.reasons
    assert life.cancels == []
    assert [one.closing for one in life.known.enrolments] == [True]


def test_after_its_last_message_an_enrolment_is_closing_and_an_exit_cancels_it() -> None:
    life = Life(mailing()).feed(view(T0), order(T0 + HOUR))
    assert life.cancels == ["order_placed"]
    cancel = life.out[-1].cancels[0]
    assert (cancel.command, cancel.customer, cancel.channel) == (life.commands[0].id, "c1", "email")


def test_a_condition_cancels_what_a_closing_enrolment_has_out() -> None:
    bought = ExitRule(when=expr(lambda env: env.customer.profile.orders > 0, "profile.orders"), reason="bought")
    life = Life(plan(scenario(send("one", 1), exits=(bought,)))).feed(
        view(T0), order(T0 + HOUR), order(T0 + 2 * HOUR, "o2")
    )
    assert life.cancels == ["bought"]


def test_closing_ends_with_the_receipt() -> None:
    life = Life(mailing()).feed(view(T0)).receipt("sent", T0 + 1)
    assert life.known.enrolments == ()
    assert life.feed(order(T0 + 2)).cancels == []


def test_closing_ends_when_the_message_is_valid_no_longer() -> None:
    life = Life(mailing()).feed(view(T0)).until(T0 + DAY)
    assert len(life.known.enrolments) == 1
    assert not life.until(T0 + DAY + 1).known.enrolments
    assert ("settled", "overdue") in life.reasons
    assert life.feed(order(T0 + 2 * DAY)).cancels == []


def test_of_several_messages_each_is_awaited_for_its_own_time() -> None:
    both = (send("short", 1, valid_for_ms=HOUR), send("long", 2, valid_for_ms=DAY))
    life = Life(plan(scenario(*both, exits=BOUGHT))).feed(view(T0)).until(T0 + 2 * HOUR)
    life.feed(order(T0 + 2 * HOUR))
    assert [cancel.command for cancel in life.out[-1].cancels] == [life.commands[1].id]


def test_a_cancel_is_put_once() -> None:
    life = Life(mailing()).feed(view(T0), order(T0 + 1), order(T0 + 2, "o2"))
    assert life.cancels == ["order_placed"]


def test_the_end_of_a_cancelled_message_is_awaited_and_told() -> None:
    for state, reason in (("sent", "sent_despite"), ("cancelled", "cancelled"), ("unknown", "unknown")):
        life = Life(mailing()).feed(view(T0), order(T0 + 1)).receipt(state, T0 + 2)
        assert life.reasons[-1] == ("settled", reason)
        assert life.known.enrolments == ()


GOAL = Goal("order_placed", 5 * DAY, value=expr(lambda env: env.event["total"]))


def test_a_goal_is_counted_once_with_its_value_and_ends_nothing() -> None:
    life = Life(plan(scenario(Wait(9 * DAY, 1), goal=GOAL))).feed(
        view(T0), order(T0 + 1, total=5), order(T0 + 2, "o2", total=7)
    )
    assert goals(life) == [{"value": 5}]
    assert len(life.open) == 1


def test_a_goal_is_counted_in_its_window_though_the_enrolment_has_ended() -> None:
    life = Life(plan(scenario(goal=GOAL))).feed(view(T0)).until(T0 + DAY).feed(order(T0 + 5 * DAY, total=5))
    assert goals(life) == [{"value": 5}]
    assert life.known.enrolments == ()


def test_a_goal_after_its_window_is_not_counted_and_nothing_is_kept_for_it() -> None:
    life = Life(plan(scenario(goal=GOAL))).feed(view(T0)).until(T0 + 5 * DAY + 1)
    assert life.known.enrolments == ()
    assert goals(life.feed(order(T0 + 5 * DAY + 2, total=5))) == []


def test_a_goal_before_the_entry_or_without_its_where_is_not_counted() -> None:
    goal = Goal("order_placed", DAY, where=expr(lambda env: env.event["total"] > 10))
    life = Life(plan(scenario(Wait(9 * DAY, 1), goal=goal)))
    life.feed(view(T0), order(T0 - 1, total=99), order(T0 + 1, "o2", total=9), watermark=T0)
    assert goals(life) == []


def test_a_goal_whose_value_is_missing_is_counted_and_says_so() -> None:
    life = Life(plan(scenario(Wait(9 * DAY, 1), goal=GOAL))).feed(view(T0), order(T0 + 1))
    assert goals(life) == [{"missing": ["value"]}]


def test_the_held_out_do_no_step_count_for_the_goal_and_end() -> None:
    all_out = Settings(consent_default="granted", require_address=False, holdout_share=10_000)
    life = Life(plan(scenario(send("one", 1), goal=GOAL), settings=all_out)).feed(view(T0), order(T0 + 1, total=5))
    assert ("entered", "held_out") in life.reasons
    assert goals(life) == [{"held_out": True, "value": 5}]
    life.until(T0 + 5 * DAY + 1)
    assert life.sends == []
    assert life.reasons[-1] == ("completed", "held_out")
    assert life.known.enrolments == ()


def test_the_held_out_of_a_scenario_without_a_goal_end_at_once() -> None:
    all_out = Settings(consent_default="granted", require_address=False, holdout_share=10_000)
    life = Life(plan(scenario(Wait(DAY, 1), send("one", 2)), settings=all_out)).feed(view(T0))
    assert life.reasons == [("entered", "held_out"), ("completed", "held_out")]


def test_a_holdout_is_of_marketing_only_send_by_send() -> None:
    all_out = Settings(consent_default="granted", require_address=False, holdout_share=10_000)
    program = (send("bill", 1, purpose="transactional"), send("offer", 2))
    life = Life(plan(scenario(*program, purpose="transactional"), settings=all_out)).feed(view(T0))
    assert [step for step, _ in life.sends] == ["bill"]
    assert ("suppressed", "held_out") in life.reasons


def test_about_the_stated_share_is_held_out() -> None:
    half = Settings(consent_default="granted", require_address=False, holdout_share=5_000)
    under = plan(scenario(send("one", 1)), settings=half)
    got: int = sum(len(Life(under).feed(view(T0, customer=f"c{n}")).sends) for n in range(400))
    assert 150 < got < 250


def test_erasure_removes_the_customer_cancels_what_is_unsent_and_says_so() -> None:
    life = Life(mailing()).feed(view(T0), event("erasure_requested", T0 + 1, arrived=T0 + 5 * HOUR))
    assert life.customer is None
    assert life.cancels == ["erasure"]
    assert life.reasons[-1] == ("dropped", "erasure")


def test_a_branch_goes_on_at_the_first_arm_that_holds_and_names_what_had_no_value() -> None:
    absent = expr(lambda env: env.customer.cold.attributes["vip"])
    many = expr(lambda env: env.customer.profile.visits > 0)
    program = (Branch(((absent, 1), (many, 2), (None, 3)), 3), send("vip", 3), send("visitor", 3))
    life = Life(plan(scenario(*program))).feed(view(T0))
    assert [step for step, _ in life.sends] == ["visitor"]
    branched = next(one for one in life.out[0].decisions if one.outcome == "branched")
    assert branched.detail == {"arm": 2, "missing": [1]}


def test_a_branch_without_an_arm_that_holds_goes_on() -> None:
    never = expr(lambda env: False)
    life = Life(plan(scenario(Branch(((never, 1),), 2), send("never", 2), send("next", 3)))).feed(view(T0))
    assert [step for step, _ in life.sends] == ["next"]
