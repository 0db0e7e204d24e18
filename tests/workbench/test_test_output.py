"""`parcours test` shows what was expected beside what came, by time, with what was decided instead; and for machines."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from agents.cli.main import parcours as cli
from pipeline.scenario.testing import compared

SCENARIO = """scenario: one
title: One
purpose: marketing
enter: {on: order_placed, again: always}
exit: [{on: order_returned}]
steps:
  - {send: thanks, channel: web}
  - wait: 1d
  - {send: review, channel: web}
"""
GIVEN = "given: [{at: '10:00', event: order_placed, order_id: o1}]"


def shown(folder: Path, test: str, *words: str) -> tuple[int, str]:
    (folder / "one").mkdir(exist_ok=True)
    (folder / "one" / "scenario.yaml").write_text(SCENARIO)
    (folder / "one" / "scenario.test.yaml").write_text(test)
    done = CliRunner().invoke(cli, ["test", str(folder), *words], catch_exceptions=False)
    return done.exit_code, done.output


def test_a_message_at_another_time_is_shown_at_both(tmp_path: Path) -> None:
    expect = "expect: [{send: thanks, at: '10:00'}, {send: review, at: '0d 12:00'}]"
    code, output = shown(tmp_path, f"- test: two\n  {GIVEN}\n  {expect}\n")
    assert code == 1
    assert output == (
        "differs  one/scenario.test.yaml: two\n"
        "    messages (- expected, + sent):\n"
        "        10:00  thanks\n"
        "      - 12:00  review: expected, not sent; it was sent at 1d 10:00 (due)\n"
        "      + 1d 10:00  review: sent, not expected\n"
        "    decided:\n"
        "        10:00  entered (order_placed)\n"
        "        10:00  sent thanks (due)\n"
        "        1d 10:00  sent review (due)\n"
        "        1d 10:00  completed (last step)\n"
        "        1d 10:00  settled thanks (overdue)\n"
        "        2d 10:00  settled review (overdue)\n"
        "0 passed, 1 failed\n"
    )


@pytest.mark.parametrize(
    ("more", "given", "said"),
    [
        (
            "customer: {consents: false}\n  ",
            GIVEN,
            "- 10:00  thanks: expected, not sent; it was suppressed at 10:00 (no_consent)",
        ),
        (
            "",
            GIVEN.replace("}]", "}, {at: '11:00', event: order_returned, order_id: o1}]"),
            "- 1d 10:00  review: expected, not sent; exited at 11:00 (order_returned)",
        ),
    ],
)
def test_what_was_decided_instead_stands_beside_what_did_not_come(
    tmp_path: Path, more: str, given: str, said: str
) -> None:
    expect = "expect: [{send: thanks, at: '10:00'}, {send: review, at: '1d 10:00'}]"
    code, output = shown(tmp_path, f"- test: t\n  {more}{given}\n  {expect}\n")
    assert code == 1
    assert f"      {said}\n" in output


def test_a_message_that_comes_twice_and_was_expected_once_is_a_difference() -> None:
    twice = [("10:00", "a"), ("10:00", "a")]
    assert compared([("10:00", "a")], twice) == [("+", "10:00", "a"), (" ", "10:00", "a")]
    assert compared(twice, [("10:00", "a")]) == [("-", "10:00", "a"), (" ", "10:00", "a")]
    assert compared(twice, twice) == [(" ", "10:00", "a")] * 2


def test_all_of_a_test_is_shown_where_it_is_asked_for(tmp_path: Path) -> None:
    expect = "expect: [{send: thanks, at: '10:00'}, {send: review, at: '1d 10:00'}]"
    test = f"- test: two\n  {GIVEN}\n  {expect}\n"
    assert shown(tmp_path, test) == (0, "1 passed, 0 failed\n")
    code, output = shown(tmp_path, test, "--verbose")
    assert code == 0
    assert output.startswith(
        "passed   one/scenario.test.yaml: two\n    messages (- expected, + sent):\n        10:00  thanks\n"
    )


def test_a_reason_that_was_not_decided_is_shown_apart(tmp_path: Path) -> None:
    expect = "expect: [{send: thanks, at: '10:00'}, {send: review, at: '1d 10:00'}]"
    _, output = shown(tmp_path, f"- test: t\n  {GIVEN}\n  {expect}\n  reasons: [{{exit: enough}}]\n")
    assert "    reasons:\n      - any time  exit: enough: expected, not decided\n    decided:\n" in output


def test_machines_read_a_line_for_each_test_and_for_each_fault(tmp_path: Path) -> None:
    expect = "expect: [{send: thanks, at: '10:00'}]"
    code, output = shown(tmp_path, f"- test: t\n  {GIVEN}\n  {expect}\n", "--json")
    [row] = [json.loads(line) for line in output.splitlines()]
    assert code == 1
    assert (row["file"], row["name"], row["passed"]) == ("one/scenario.test.yaml", "t", False)
    assert row["differences"] == ["+ 1d 10:00  review: sent, not expected"]
    (tmp_path / "one" / "scenario.yaml").write_text(SCENARIO.replace("wait: 1d", "wait: 2h"))
    done = CliRunner().invoke(cli, ["check", str(tmp_path), "--json"])
    warning, plan = (json.loads(line) for line in done.output.splitlines())
    assert (warning["severity"], warning["line"], warning["column"]) == ("warning", 8, 11)
    assert plan["scenarios"] == ["one"]
    (tmp_path / "one" / "scenario.yaml").write_text(SCENARIO.replace("wait: 1d", "wait: soon"))
    done = CliRunner().invoke(cli, ["check", str(tmp_path), "--json"])
    assert done.exit_code == 2
    assert json.loads(done.output) == {
        "severity": "error", "file": "one/scenario.yaml", "line": 8, "column": 11,
        "message": "wait: 'soon' is not a duration: write 45m, 23h, 7d or 1h30m",
    }  # fmt: skip
