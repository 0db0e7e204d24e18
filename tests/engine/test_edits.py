"""Edits of a live scenario: migrate moves by named steps and waits passed, drain lets nobody in, a stop ends all."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.engine import api
from pipeline.engine.plan import (
    AddScore,
    Alternative,
    Branch,
    ExitRule,
    Op,
    Plan,
    Scenario,
    Split,
    Wait,
    WaitFor,
    make_plan,
)
from pipeline.engine.rules import Definitions, ScoreRule
from tests.engine.build import DAY, HOUR, MINUTE, OPEN, T0, Life, expr, order, plan, scenario, send, view

OLD = scenario(send("a", 1), Wait(DAY, 2), send("b", 3), Wait(DAY, 4), Wait(DAY, 5), send("c", 6))


def edited(*program: Op, on_change: str = "migrate", **more: Any) -> Scenario:
    return scenario(*program, version="2", on_change=on_change, **more)


def later(new: Scenario, old: Scenario = OLD, **more: Any) -> Plan:
    return make_plan("plan-2", [new], OPEN, pinned={(old.name, old.version): old}, **more)


def moved(new: Scenario, at: int, old: Scenario = OLD) -> Life:
    life = Life(plan(old)).feed(view(T0)).until(T0 + at)
    life.plan = later(new, old)
    life._keep(api.activate(life.known, life.plan, T0 + at, T0 + at))
    return life.until(T0 + 90 * DAY)


def since(life: Life) -> list[tuple[str, int]]:
    return [(step, at - T0) for step, at in life.sends]


def test_a_wait_is_timed_anew_from_when_it_began() -> None:
    new = edited(send("a", 1), Wait(3 * DAY, 2), send("b", 3))
    life = moved(new, HOUR)
    assert since(life) == [("a", 0), ("b", 3 * DAY)]
    assert ("migrated", "1") in life.reasons
    assert [one.version for one in life.commands] == ["1", "2"]


def test_a_wait_that_would_be_over_is_over_at_the_edit() -> None:
    new = edited(send("a", 1), Wait(HOUR, 2), send("b", 3))
    assert since(moved(new, 5 * HOUR)) == [("a", 0), ("b", 5 * HOUR)]


def test_waits_passed_since_the_last_named_step_count() -> None:
    new = edited(send("a", 1), Wait(HOUR, 2), send("b", 3), Wait(HOUR, 4), Wait(5 * DAY, 5), send("d", 6))
    # Between b (day 1) and c stand two waits, the first of which is over on day 2.
    assert since(moved(new, 2 * DAY + HOUR)) == [("a", 0), ("b", DAY), ("d", 7 * DAY)]


def test_a_new_step_before_where_somebody_stands_comes_at_the_edit() -> None:
    new = edited(send("a", 1), send("new", 2), Wait(DAY, 3), send("b", 4))
    assert since(moved(new, HOUR)) == [("a", 0), ("new", HOUR), ("b", HOUR + DAY)]


def test_a_step_that_is_gone_is_looked_up_by_the_one_before() -> None:
    new = edited(send("a", 1), Wait(DAY, 2), Wait(2 * DAY, 3), send("c", 4))
    # a and b are passed; b is gone: after a one wait is passed, and the wait behind it began with b.
    assert since(moved(new, DAY + HOUR)) == [("a", 0), ("b", DAY), ("c", 3 * DAY)]


def test_who_has_passed_no_step_that_is_left_ends() -> None:
    life = moved(edited(send("x", 1), Wait(DAY, 2), send("y", 3)), HOUR)
    assert since(life) == [("a", 0)]
    assert ("exited", "step_removed") in life.reasons


def test_before_the_first_named_step_waits_alone_count() -> None:
    old = scenario(Wait(HOUR, 1), Wait(HOUR, 2), send("a", 3))
    new = edited(Wait(MINUTE, 1), Wait(5 * HOUR, 2), send("a", 3))
    assert since(moved(new, HOUR + MINUTE, old)) == [("a", 6 * HOUR)]


def test_a_step_once_sent_is_never_sent_again() -> None:
    new = edited(send("c", 1), Wait(DAY, 2), send("b", 3), Wait(DAY, 4), send("a", 5))
    life = moved(new, DAY + HOUR)
    assert [step for step, _ in life.sends] == ["a", "b"]
    assert ("suppressed", "already_sent") in life.reasons


def test_a_path_and_a_way_out_of_a_wait_are_followed_in_the_new_version() -> None:
    split = Split("half", (("one", 10_000, 1), ("two", 0, 3)))
    old = scenario(split, Wait(DAY, 2), send("one", 4), send("two", 4))
    new = edited(split, Wait(2 * DAY, 2), send("uno", 4), send("two", 4))
    assert since(moved(new, HOUR, old)) == [("uno", 2 * DAY)]

    ordered = (Alternative(1, on="order_placed"),)
    fields = (("order_placed", ()),)
    old = scenario(
        WaitFor(ordered, 3, DAY), Wait(DAY, 2), send("x", 5), Wait(DAY, 4), send("late", 5), event_fields=fields
    )
    new = edited(
        WaitFor(ordered, 3, DAY), Wait(DAY, 2), send("x", 5), Wait(3 * DAY, 4), send("late", 5), event_fields=fields
    )
    assert since(moved(new, DAY + HOUR, old)) == [("late", 4 * DAY)]


def test_a_branch_in_between_is_taken_as_its_conditions_hold_now() -> None:
    arms = ((expr(lambda env: env.customer.profile.orders > 0), 2), (None, 4))
    new = edited(send("a", 1), Branch(arms, 4), Wait(HOUR, 3), send("buyer", 6), Wait(2 * DAY, 5), send("other", 6))
    assert since(moved(new, HOUR)) == [("a", 0), ("other", 2 * DAY)]


def test_an_exit_that_the_edit_brings_acts_on_what_is_known() -> None:
    old = scenario(send("a", 1), Wait(DAY, 2), send("b", 3), event_fields=(("order_placed", ()),))
    new = edited(
        send("a", 1), Wait(2 * DAY, 2), send("b", 3), exits=(ExitRule(on="order_placed", reason="bought"),),
        event_fields=(("order_placed", ()),),
    )  # fmt: skip
    life = Life(plan(old)).feed(view(T0), order(T0 + HOUR))
    life.plan = later(new, old)
    life._keep(api.activate(life.known, life.plan, T0 + 2 * HOUR, T0 + 2 * HOUR))
    assert [step for step, _ in life.until(T0 + 9 * DAY).sends] == ["a"]
    assert ("exited", "overtaken") in life.reasons


@pytest.mark.parametrize(("on_change", "steps"), [("pin", ["b", "new"]), ("drain", ["b"])])
def test_pin_and_drain_leave_those_inside_and_drain_lets_nobody_new_in(on_change: str, steps: list[str]) -> None:
    old = scenario(Wait(DAY, 1), send("b", 2))
    life = Life(plan(old)).feed(view(T0))
    life.plan = later(edited(Wait(HOUR, 1), send("new", 2), on_change=on_change), old)
    life.until(T0 + DAY + 1).feed(view(T0 + 2 * DAY)).until(T0 + 9 * DAY)
    assert [step for step, _ in life.sends] == steps
    assert (("not_entered", "draining") in life.reasons) == (on_change == "drain")


def test_a_scenario_that_was_never_edited_drains_nobody() -> None:
    first = scenario(send("one", 1), on_change="drain")
    assert len(Life(plan(first)).feed(view(T0)).sends) == 1


def test_a_stop_ends_those_inside_and_takes_back_what_is_out() -> None:
    life = Life(plan(OLD)).feed(view(T0))
    stopped = plan(OLD, switches={"s": "stopped"})
    assert stopped.pass_name != plan(OLD).pass_name == "plan-1"
    life._keep(api.activate(life.known, stopped, T0, T0 + HOUR))
    assert ("exited", "stopped") in life.reasons
    assert life.cancels == ["stopped"]
    life.plan = stopped
    assert [step for step, _ in life.feed(view(T0 + DAY)).until(T0 + 9 * DAY).sends] == ["a"]


@pytest.mark.parametrize("named", [True, False])
def test_points_and_starts_before_where_somebody_stands_are_not_given_twice(named: bool) -> None:
    first: tuple[Op, ...] = (send("a", 1),) if named else (Wait(HOUR, 1),)
    settings = replace(OPEN, definitions=Definitions(scores={"lead": ScoreRule("lead", {})}))
    old = scenario(*first, AddScore((("lead", 5),), 2), Wait(DAY, 3), send("b", 4), uses=("score.lead",))
    new = replace(edited(*first, AddScore((("lead", 5),), 2), Wait(2 * DAY, 3), send("b", 4)), uses=("score.lead",))
    life = Life(plan(old, settings=settings)).feed(view(T0)).until(T0 + 2 * HOUR)
    assert life.known.tracked.scores["lead"][0] == 5_000
    live = make_plan("plan-2", [new], settings, pinned={(old.name, old.version): old}, activated={"s": T0})
    life.plan = live
    life._keep(api.activate(life.known, live, T0 + 3 * HOUR, T0 + 3 * HOUR))
    assert life.known.tracked.scores["lead"][0] == 5_000
    assert [at for step, at in life.until(T0 + 9 * DAY).sends if step == "b"] == [T0 + 2 * DAY + (0 if named else HOUR)]
    assert life.known.tracked.scores["lead"][0] == 5_000


def test_points_that_the_edit_brings_after_those_given_are_given() -> None:
    settings = replace(OPEN, definitions=Definitions(scores={"lead": ScoreRule("lead", {})}))
    points = AddScore((("lead", 5),), 2)
    old = scenario(send("a", 1), points, Wait(DAY, 3), send("b", 4), uses=("score.lead",))
    more = (send("a", 1), points, AddScore((("lead", 7),), 3), Wait(DAY, 4), send("b", 5))
    new = replace(edited(*more), uses=("score.lead",))
    life = Life(plan(old, settings=settings)).feed(view(T0))
    live = make_plan("plan-2", [new], settings, pinned={(old.name, old.version): old}, activated={"s": T0})
    life._keep(api.activate(life.known, live, T0 + HOUR, T0 + HOUR))
    assert life.known.tracked.scores["lead"][0] == 12_000
