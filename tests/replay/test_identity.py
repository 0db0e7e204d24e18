"""What a live run did and what a replay of its journal gives are the same, byte for byte."""

from pathlib import Path

import msgspec
import pytest

from pipeline.engine import sending
from pipeline.replay.backtest import rows_of
from pipeline.replay.recorded import RecordedLog
from pipeline.replay.spread import replay, scratch
from pipeline.replay.task import Task
from pipeline.replay.verify import pairs
from pipeline.replay.workspace import COMMANDS, DECISIONS
from tests.replay.build import killed_on_the_way, plan, verified


def live(data: Path, stream: str) -> list[tuple[str, bytes]]:
    """Return a recorded stream by customer, in the order of each."""
    log = RecordedLog(data)
    rows = [(msgspec.json.decode(raw).get("customer", ""), raw) for raw in log.records(stream, 0)]
    log.close()
    return sorted((row for row in rows if row[0]), key=lambda row: row[0].encode())


@pytest.mark.parametrize("processes", [1, 2])
def test_a_replay_of_the_log_gives_every_command_decision_and_state_byte_for_byte(data: Path, processes: int) -> None:
    verdict = verified(Task(data), processes)
    assert verdict.differences == []
    assert verdict.compared["delivery"] > 50
    assert verdict.compared["decisions"] > 200
    assert verdict.compared["states"] > 5


@pytest.mark.parametrize("processes", [1, 2])
def test_a_backtest_of_the_same_plan_gives_what_was_sent_and_why_byte_for_byte(data: Path, processes: int) -> None:
    with scratch() as out:
        found = replay(Task(data, plan(), decisions=True), out, processes)
        commands = [(name, raw[1:]) for name, raw in rows_of(found, COMMANDS)]
        assert commands == live(data, "delivery") != []
        assert list(rows_of(found, DECISIONS)) == live(data, "decisions")
        assert {raw[:1] for _, raw in rows_of(found, COMMANDS)} == {b"1"}, "each was really sent"


def test_a_run_that_was_killed_again_and_again_is_replayed_byte_for_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    assert killed_on_the_way(data, monkeypatch) > 5
    verdict = verified(Task(data))
    assert verdict.differences == []
    assert verdict.compared["delivery"] > 50
    with scratch() as out:
        found = replay(Task(data, plan(), decisions=True), out, 2)
        assert [(name, raw[1:]) for name, raw in rows_of(found, COMMANDS)] == live(data, "delivery") != []
        assert list(rows_of(found, DECISIONS)) == live(data, "decisions")


def test_the_beginning_of_a_log_is_the_beginning_of_what_was_recorded(data: Path) -> None:
    log = RecordedLog(data)
    span = log.span()
    log.close()
    assert span is not None
    half = (span[0] + span[1] - 7 * 86_400_000) // 2
    verdict = verified(Task(data, until=half))
    assert verdict.differences == []
    assert 0 < verdict.compared["decisions"] < verified(Task(data)).compared["decisions"]


def test_an_engine_that_decides_otherwise_is_named_with_customer_and_step(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "address_of", lambda cold, channel: "somebody@else.example")
    verdict = verified(Task(data))
    assert verdict.count > 0
    first = verdict.differences[0]
    assert first.customer.startswith("c")
    assert first.step in {"abandoned-cart/reminder", "welcome/thanks", "purchase/confirmation"}
    assert "was" in str(first)
    assert first.customer in str(first)


def test_pairs_walks_two_streams_of_customers_together() -> None:
    left = iter([("a", b"1"), ("a", b"2"), ("c", b"3")])
    right = iter([("b", b"4"), ("c", b"3"), ("d", b"5")])
    assert list(pairs(left, right)) == [
        ("a", [b"1", b"2"], []),
        ("b", [], [b"4"]),
        ("c", [b"3"], [b"3"]),
        ("d", [], [b"5"]),
    ]
