"""A division by zero or a value that is not there, at run time: a decision says so, and what follows goes on."""

from typing import Any

import pytest

from models.decision import Decision
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.sources import PlanSources
from tests.engine.build import DAY, HOUR, T0, Life, event, order

SETTINGS = "consent_default: granted\nrequire_address: false\nattributes: {ratio: number, due: date}\n"
HEAD = "title: T\npurpose: transactional\n"
HELLO = "  - {send: hello, channel: web}\n"
OTHER = f"scenario: other\n{HEAD}enter: {{on: order_placed}}\nsteps: [{{send: also, channel: web}}]\n"
ZERO = "1 / (profile.orders - 1)"  # of who has ordered once


def live(steps: str, enter: str = "{on: order_placed}", more: str = "") -> Life:
    """Return a life under a plan of the scenario in question and another one beside it."""
    files = {
        "settings.yaml": SETTINGS,
        "one/scenario.yaml": f"scenario: one\n{HEAD}enter: {enter}\n{more}steps:\n{steps}",
        "other/scenario.yaml": OTHER,
    }
    return Life(compile_plan(PlanSources(files))).feed(order(T0))


def decided(life: Life, outcome: str) -> list[Decision]:
    return [one for out in life.out for one in out.decisions if one.scenario == "one" and one.outcome == outcome]


def sent(life: Life) -> list[tuple[str, dict[str, Any]]]:
    return sorted((one.step, one.data) for one in life.commands)


@pytest.mark.parametrize("condition", [f"{ZERO} > 0", "entry.total > 1", f"!({ZERO} > 0)"])
def test_an_arm_that_cannot_be_judged_is_passed_over_and_named(condition: str) -> None:
    life = live(f"  - branch: [{{when: '{condition}', then: [{{exit: no}}]}}]\n{HELLO}")
    [branched] = decided(life, "branched")
    assert (branched.reason, branched.detail) == ("none", {"missing": [1]})
    assert sent(life) == [("also", {}), ("hello", {})]


def test_a_value_that_a_message_should_carry_is_left_out_and_named() -> None:
    life = live(
        f"  - send: hello\n    channel: web\n    with: {{ratio: '{ZERO}', sum: entry.total, id: entry.order_id}}\n"
    )
    [due] = decided(life, "sent")
    assert due.detail == {"missing": ["ratio", "sum"]}
    assert sent(life) == [("also", {}), ("hello", {"id": "o1"})]


def test_an_attribute_without_a_value_stays_as_it_is() -> None:
    life = live(f"  - set: {{ratio: '3'}}\n  - set: {{ratio: '{ZERO}'}}\n{HELLO}")
    [failed] = decided(life, "failed")
    assert (failed.reason, failed.detail) == ("set has no value", {"missing": ["ratio"]})
    assert life.known.cold.attributes["ratio"].value == 3
    assert sent(life) == [("also", {}), ("hello", {})]


@pytest.mark.parametrize(
    ("if_past", "steps"), [("go_on", ["also", "hello"]), ("exit", ["also"]), ("skip_next", ["also"])]
)
def test_a_day_that_is_not_known_follows_if_past(if_past: str, steps: list[str]) -> None:
    life = live(f"  - until: {{day: customer.due, if_past: {if_past}}}\n{HELLO}  - exit: done\n")
    [failed] = decided(life, "failed")
    assert failed.reason == "until has no day"
    assert [step for step, _ in sent(life)] == steps


@pytest.mark.parametrize("alternative", [f"when: '{ZERO} > 0'", "on: order_shipped, where: event.amount / 0 > 1"])
def test_a_wait_for_what_cannot_be_judged_ends_with_its_time_out(alternative: str) -> None:
    life = live(f"  - wait_for: [{{{alternative}}}]\n    at_most: 1d\n{HELLO}")
    life.feed(event("order_shipped", T0 + HOUR, order_id="o1", amount=5))
    assert [step for step, _ in sent(life)] == ["also"]
    life.until(T0 + 2 * DAY)
    assert life.sends == [("also", T0), ("hello", T0 + DAY)]


def test_an_entry_that_cannot_be_judged_enters_nobody_and_keeps_no_one_else_out() -> None:
    assert sent(live(HELLO, "{on: order_placed, when: event.total > 5}")) == [("also", {})]
    assert sent(live(HELLO, "{on: order_placed, unless: event.total > 5}")) == [("also", {})]
    assert sent(live(HELLO, "{on: order_placed, when: 'default(event.total, 9) > 5'}")) == [("also", {}), ("hello", {})]


def test_an_entry_without_the_value_that_tells_enrolments_apart_fails_with_a_reason() -> None:
    life = live(HELLO, "{on: order_placed, per: event.total}")
    assert [one.reason for one in decided(life, "failed")] == ["per has no value"]
    assert sent(life) == [("also", {})]


def test_an_exit_that_cannot_be_judged_ends_nothing_and_a_goal_without_its_value_is_reached_all_the_same() -> None:
    more = f"exit: [{{when: '{ZERO} > 0'}}]\ngoal: {{on: order_delivered, within: 1d, value: event.amount}}\n"
    life = live(f"  - wait: 1d\n{HELLO}", more=more).feed(event("order_delivered", T0 + HOUR, order_id="o1"))
    [goal] = decided(life, "goal")
    assert goal.detail == {"missing": ["value"]}
    assert life.until(T0 + 2 * DAY).sends == [("also", T0), ("hello", T0 + DAY)]
