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
