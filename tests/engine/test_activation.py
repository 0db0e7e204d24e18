"""A plan's activation: once for every customer, before their next input; who is inside keeps their version."""

from models.customer import Customer
from pipeline.engine import api
from pipeline.engine.plan import ExitRule, Plan, Scenario, Wait, make_plan
from tests.engine.build import DAY, HOUR, MINUTE, OPEN, T0, Life, cart, order, plan, scenario, send, view

OLD = scenario(Wait(HOUR, 1), send("old", 2))
NEW = scenario(Wait(HOUR, 1), send("new", 2), version="2")


def later(*scenarios: Scenario, pinned: tuple[Scenario, ...] = (), **more: object) -> Plan:
    kept = {(one.name, one.version): one for one in pinned}
    return make_plan("plan-2", scenarios, OPEN, pinned=kept, **more)  # type: ignore[arg-type]


def inside() -> Customer:
    return Life(plan(OLD)).feed(view(T0)).known


def test_a_new_customer_owes_no_pass() -> None:
    assert Life(plan(OLD)).feed(view(T0)).known.activated == "plan-1"


def test_who_is_inside_keeps_their_version() -> None:
    under = later(NEW, pinned=(OLD,))
    passed = api.activate(inside(), under, T0, T0 + MINUTE)
    assert passed.customer is not None
    assert (passed.customer.activated, passed.customer.now) == ("plan-2", T0 + MINUTE)
    fired = api.fire_timers(passed.customer, T0 + DAY, under)
    assert [(one.step, one.version) for one in fired.commands] == [("old", "1")]


def test_who_enters_afterwards_gets_the_live_version() -> None:
    under = later(NEW, pinned=(OLD,))
    done = api.apply_event(None, view(T0), T0, under)
    assert done.customer is not None
    assert [one.version for one in done.customer.enrolments] == ["2"]


def test_a_version_that_is_nowhere_any_more_ends_with_that_reason() -> None:
    passed = api.activate(inside(), later(NEW), T0, T0 + MINUTE)
    assert [(one.outcome, one.reason) for one in passed.decisions] == [("exited", "version_missing")]
    assert passed.customer is not None
    assert passed.customer.enrolments == ()


def test_a_scenario_that_is_gone_ends_with_that_reason_and_takes_back_what_is_out() -> None:
    life = Life(plan(scenario(send("one", 1), Wait(DAY, 2)))).feed(view(T0))
    passed = api.activate(life.known, later(scenario(name="other")), T0, T0 + MINUTE)
    assert ("exited", "scenario_removed") in [(one.outcome, one.reason) for one in passed.decisions]
    assert [one.command for one in passed.cancels] == [life.commands[0].id]


def test_what_a_closing_enrolment_of_a_lost_version_has_out_is_taken_back() -> None:
    life = Life(plan(scenario(send("one", 1)))).feed(view(T0))
    passed = api.activate(life.known, later(NEW), T0, T0 + MINUTE)
    assert [one.reason for one in passed.cancels] == ["version_missing"]
    assert passed.customer is not None
    assert passed.customer.enrolments == ()


def test_a_pass_that_is_owed_comes_before_the_next_event_and_timer() -> None:
    under = later(NEW)
    by_event = api.apply_event(inside(), view(T0 + 1), T0, under, activated_at=T0 + 1)
    by_timer = api.fire_timers(inside(), T0 + DAY, under, activated_at=T0 + 1)
    for done in (by_event, by_timer):
        assert done.decisions[0].reason == "version_missing"
        assert done.commands == []


def test_a_pass_is_done_once() -> None:
    under = later(NEW, pinned=(OLD,))
    passed = api.activate(inside(), under, T0, T0 + MINUTE)
    assert passed.customer is not None
    assert api.activate(passed.customer, under, T0, T0 + 9 * DAY).customer == passed.customer


def test_the_pass_may_come_in_slices_or_with_the_next_input() -> None:
    under = later(NEW, pinned=(OLD,))
    sliced = api.activate(inside(), under, T0, T0 + MINUTE).customer
    assert sliced is not None
    one = api.fire_timers(sliced, T0 + DAY, under, activated_at=T0 + MINUTE)
    other = api.fire_timers(inside(), T0 + DAY, under, activated_at=T0 + MINUTE)
    assert (one.commands, one.decisions, one.customer) == (other.commands, other.decisions, other.customer)


def test_what_was_due_before_a_new_scenarios_activation_is_not_sent() -> None:
    under = later(NEW, activated={"s": T0 + 2 * HOUR})
    done = api.apply_event(None, view(T0, arrived=T0 + 30 * MINUTE), T0 + DAY, under)
    assert done.commands == []
    assert ("suppressed", "before_activation") in [(one.outcome, one.reason) for one in done.decisions]


def test_an_entry_event_kept_under_the_old_plan_enters_under_the_live_one() -> None:
    exits = (ExitRule(on="order_placed", reason="order_placed"),)
    old = scenario(Wait(HOUR, 1), send("old", 2), exits=exits)
    life = Life(plan(old)).feed(view(T0), view(T0 + 20 * MINUTE), watermark=T0)
    life.plan = later(scenario(Wait(HOUR, 1), send("new", 2), version="2", exits=exits), pinned=(old,))
    life.feed(order(T0 + 10 * MINUTE), watermark=T0)
    assert [(one.version, one.entry.at) for one in life.open] == [("2", T0 + 20 * MINUTE)]


def test_exits_of_a_pinned_version_still_find_their_remembered_events() -> None:
    old = scenario(
        Wait(HOUR, 1), exits=(ExitRule(on="order_placed", reason="x"),), event_fields=(("order_placed", ("order_id",)),)
    )
    done = api.apply_event(None, order(T0), T0, later(NEW, pinned=(old,)))
    assert done.customer is not None
    assert [one.type for one in done.customer.remembered] == ["order_placed"]
    assert Life().feed(cart(T0, "a")).known.remembered != ()
