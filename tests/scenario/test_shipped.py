"""The shipped scenarios pass their own tests, and a test that should fail does."""

from pathlib import Path

import pytest

from pipeline.errors import PlanError
from pipeline.scenario.testing import run_tests

SHIPPED = Path(__file__).parents[2] / "scenarios"
RESULTS = run_tests(SHIPPED)


@pytest.mark.parametrize("result", RESULTS, ids=[f"{one.file}: {one.name}" for one in RESULTS])
def test_a_shipped_scenario_does_what_its_test_says(result) -> None:
    assert result.differences == []


def plan_with_test(folder: Path, test: str) -> Path:
    (folder / "one").mkdir()
    (folder / "one" / "scenario.yaml").write_text(
        "scenario: one\ntitle: One\npurpose: transactional\nenter: {on: order_placed}\n"
        "steps:\n  - {send: hello, channel: web}\n"
    )
    (folder / "one" / "scenario.test.yaml").write_text(test)
    return folder


def test_a_message_that_was_not_expected_and_one_that_did_not_come_are_named(tmp_path: Path) -> None:
    given = "- test: t\n  given: [{at: '10:00', event: order_placed, order_id: o1}]\n"
    [result] = run_tests(plan_with_test(tmp_path, given + "  expect: [{send: other, at: '11:00'}]\n"))
    assert result.differences == [
        "- 11:00  other: expected, not sent",
        "+ 10:00  hello: sent, not expected",
    ]


def test_a_reason_that_was_not_decided_is_named(tmp_path: Path) -> None:
    given = "- test: t\n  given: [{at: '10:00', event: order_placed, order_id: o1}]\n"
    expect = "  expect: [{send: hello, at: '10:00'}]\n  reasons: [{exit: nothing, at: '10:00'}]\n"
    [result] = run_tests(plan_with_test(tmp_path, given + expect))
    assert result.differences == ["- 10:00  exit: nothing: expected, not decided"]


def test_a_wrong_event_in_a_test_is_refused_with_its_place(tmp_path: Path) -> None:
    given = "- test: t\n  given:\n    - {at: '10:00', event: order_placed}\n"
    with pytest.raises(PlanError) as error:
        run_tests(plan_with_test(tmp_path, given))
    assert "one/scenario.test.yaml:3:7: Object missing required field `order_id`" in str(error.value)


SHARED_CAP = "caps: [{channel: web, purpose: marketing, at_most: 1, per: 7d}]\n"
TWO = "scenario: {name}\ntitle: T\npurpose: marketing\npriority: {priority}\nenter: {{on: order_placed}}\nsteps: [{steps}]\n"
GIVEN = "  given: [{at: '10:00', event: order_placed, order_id: o1}]\n"


def neighbours(folder: Path, test: str, first_steps: str = "{send: hello, channel: web}") -> Path:
    """Two scenarios that begin with an order and share a cap of one message; the higher one is `first`."""
    (folder / "settings.yaml").write_text(SHARED_CAP)
    for name, priority, steps in (("first", 60, first_steps), ("second", 50, "{send: hello, channel: web}")):
        (folder / name).mkdir()
        text = TWO.format(name=name, priority=priority, steps=steps)
        started = "enter: [{on: order_placed}, {on: start, name: started}]" if name == "second" else ""
        (folder / name / "scenario.yaml").write_text(
            text.replace("enter: {on: order_placed}", started) if started else text
        )
    (folder / "second" / "scenario.test.yaml").write_text(test)
    return folder


def test_a_neighbour_takes_no_place_under_a_shared_cap(tmp_path: Path) -> None:
    [result] = run_tests(neighbours(tmp_path, "- test: t\n" + GIVEN + "  expect: [{send: hello, at: '10:00'}]\n"))
    assert result.differences == []


def test_a_neighbour_that_the_test_names_does(tmp_path: Path) -> None:
    test = "- test: t\n  with: [first]\n" + GIVEN + "  reasons: [{suppressed: capped, at: '10:00'}]\n"
    [result] = run_tests(neighbours(tmp_path, test))
    assert result.differences == []


def test_a_scenario_that_is_started_runs_along(tmp_path: Path) -> None:
    steps = "{start: second}, {wait: 1h}, {branch: [{when: 'inside(\"second\")', then: [{send: hello, channel: web}]}]}"
    folder = neighbours(tmp_path, "- test: t\n" + GIVEN + "  expect: [{send: hello, at: '10:00'}]\n", steps)
    (folder / "second" / "scenario.yaml").write_text(
        (folder / "second" / "scenario.yaml").read_text().replace("steps: [", "steps: [{wait: 2h}, ")
    )
    test = "- test: t\n" + GIVEN + "  expect: [{send: hello, at: '11:00'}]\n"
    (folder / "first" / "scenario.test.yaml").write_text(test)
    [result] = run_tests(folder, "first")
    assert result.differences == []


@pytest.mark.parametrize(
    ("test", "said"),
    [
        (
            "- test: t\n  with: [frist]\n" + GIVEN,
            "second/scenario.test.yaml:2:10: unknown scenario 'frist'; did you mean first?",
        ),
        (
            "- test: t\n  wiht: [first]\n" + GIVEN,
            "second/scenario.test.yaml:1:3: unknown field 'wiht'; did you mean with?",
        ),
    ],
)
def test_an_unknown_neighbour_is_refused_with_its_place(tmp_path: Path, test: str, said: str) -> None:
    with pytest.raises(PlanError) as error:
        run_tests(neighbours(tmp_path, test))
    assert said in str(error.value)


def test_a_test_beside_no_scenario_is_refused(tmp_path: Path) -> None:
    folder = neighbours(tmp_path, "- test: t\n" + GIVEN)
    (folder / "other").mkdir()
    (folder / "other" / "scenario.test.yaml").write_text("- test: t\n" + GIVEN)
    with pytest.raises(PlanError, match="a folder without a scenario of that name"):
        run_tests(folder)
