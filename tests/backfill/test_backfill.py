"""A backfilled scenario goes on as if it had been live all along, but for what was due before: that is never sent."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from models.event import Event
from pipeline.errors import UsageError
from pipeline.replay.backfill import Backfill, work_out
from pipeline.replay.checkpoints import nearest
from pipeline.replay.recorded import RecordedLog
from pipeline.replay.spread import scratch
from pipeline.replay.task import Task
from pipeline.runtime import checkpoints
from pipeline.runtime.embedded import EmbeddedPipeline
from pipeline.runtime.operator import HandedOn, say
from pipeline.scenario.sources import PlanSources
from tests.explain.story import DAY, HOUR
from tests.replay.build import COUNT, SEED, verified
from tests.replay.build import plan as shipped
from tests.sim.world import T0, World, compile_once, records, small_slices

NEW = """\
scenario: follow-up
title: Follow-up
purpose: marketing
enter: {on: order_placed, again: always, per: event.order_id}
exit: [{on: cart_changed, where: size(event.items) > 1}]
goal: {on: order_placed, within: 5d}
steps:
  - wait: 12h
    restart_on: product_viewed
    at_most: 2d
  - send: one
    channel: web
  - wait_for: [{on: order_delivered, where: event.order_id == entry.order_id, then: [{send: came, channel: web}]}]
    at_most: 4d
    otherwise: [{send: two, channel: web}]
  - wait: 1d
  - send: three
    channel: web
"""
OLD_FILES = {name: text for name, text in shipped().files.items() if "/" not in name}
OLD = PlanSources(
    OLD_FILES
    | {
        "quiet/scenario.yaml": NEW.replace("follow-up", "quiet")
        .replace("order_placed", "review_posted")
        .replace("event.order_id == entry.order_id", "event.at > entry.at")
        .replace(", per: event.order_id", "")
    }
)
LIVE = PlanSources({**OLD.files, "follow-up/scenario.yaml": NEW})
HALF = COUNT // 2


def go_on(data: Path, count: int, sources: PlanSources, slices: int | None = None) -> int:
    """Run some records, or some slices of them, without closing the history; return the log time."""
    pipeline = EmbeddedPipeline.open(World(data, records(SEED, count), sources).options())
    try:
        while (slices is None or slices > 0) and pipeline.step():
            slices = None if slices is None else slices - 1
        return pipeline.ingest_state.time
    finally:
        pipeline.close()


def follow_ups(data: Path, stream: str) -> list[dict[str, Any]]:
    log = RecordedLog(data)
    rows = [msgspec.json.decode(raw) for raw in log.records(stream, 0)]
    log.close()
    return [row for row in rows if row.get("scenario") == "follow-up"]


def backfilled(data: Path, since: int = T0) -> tuple[Backfill, list[Event]]:
    with scratch() as out:
        found = work_out(data, None, "follow-up", since, out)
        return found, list(found.events())


@pytest.fixture(scope="module")
def always(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store with the scenario live from the beginning."""
    with pytest.MonkeyPatch.context() as patch:
        small_slices(patch)
        compile_once(patch)
        data = tmp_path_factory.mktemp("always") / "data"
        World(data, records(SEED, COUNT), LIVE).run()
    return data


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    small_slices(monkeypatch)
    compile_once(monkeypatch)


def by_place(rows: list[dict[str, Any]]) -> list[tuple[str, str, str, int]]:
    return sorted((row["customer"], row["enrolment"], row["step"], row["due_at"]) for row in rows)


@pytest.mark.parametrize("later", [0, 4], ids=["at once", "while the run goes on"])
def test_what_is_due_from_now_on_is_what_would_have_been_sent_and_nothing_before(
    tmp_path: Path, always: Path, later: int
) -> None:
    data = tmp_path / "data"
    activated = go_on(data, HALF, OLD)
    # The new plan is live; with `later`, its workers have seen more by the time the backfill is asked for.
    heard = go_on(data, COUNT, LIVE, later)
    found, events = backfilled(data)
    assert found.live and found.until == activated
    assert found.inside == len(events) > 3
    assert found.entered > found.inside
    assert found.passed_over > 0
    say(data, HandedOn(events=events))
    World(data, records(SEED, COUNT), LIVE).run()
    entered = [row for row in follow_ups(data, "decisions") if row["reason"] == "backfill"]
    assert 0 < len(entered) <= len(events)
    ids = {row["enrolment"] for row in entered}
    mine = [row for row in follow_ups(data, "delivery") if row["enrolment"] in ids]
    assert all(row["due_at"] >= heard for row in mine)
    wanted = [row for row in follow_ups(always, "delivery") if row["enrolment"] in ids and row["due_at"] >= heard]
    assert by_place(mine) == by_place(wanted) != []
    if not later:
        # Whoever had entered by then and had something to come did enter.
        owed = {row["enrolment"] for row in follow_ups(always, "delivery") if row["due_at"] >= heard}
        before = {
            row["enrolment"]
            for row in follow_ups(always, "decisions")
            if row["outcome"] == "entered" and row["at"] < activated
        }
        assert owed & before <= ids
    assert verified(Task(data)).differences == []


def test_asked_twice_or_killed_between_everybody_enters_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    go_on(data, HALF, OLD)
    go_on(data, COUNT, LIVE, 0)
    _, events = backfilled(data)
    say(data, HandedOn(events=events))
    say(data, HandedOn(events=events))
    go_on(data, COUNT, LIVE, 6)
    say(data, HandedOn(events=events))
    World(data, records(SEED, COUNT), LIVE).run()
    entered = [row["enrolment"] for row in follow_ups(data, "decisions") if row["reason"] == "backfill"]
    assert len(entered) == len(set(entered)) > 3
    commands = [row["id"] for row in follow_ups(data, "delivery")]
    assert len(commands) == len(set(commands))


def test_from_a_checkpoint_it_finds_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints.DailyCheckpoints.__init__, "__kwdefaults__", {"every_s": 0.0})
    data = tmp_path / "data"
    go_on(data, HALF, OLD)
    go_on(data, COUNT, LIVE, 0)
    since = T0 + 2 * DAY
    near = nearest(data, since)
    assert near is not None
    with scratch() as out:
        whole = work_out(data, None, "follow-up", since, out / "a")
        late = work_out(data, None, "follow-up", since, out / "b", checkpoint=near)
        found = list(whole.events())
        assert found == list(late.events()) != []
    assert (whole.entered, whole.ended, whole.passed_over) == (late.entered, late.ended, late.passed_over)
    assert all(event.data["enrolment"]["entry"]["at"] >= since - HOUR for event in found)


def test_of_a_plan_that_is_not_live_it_only_says_how_many(tmp_path: Path) -> None:
    data = tmp_path / "data"
    go_on(data, HALF, OLD)
    with scratch() as out:
        found = work_out(data, LIVE, "follow-up", T0, out)
    assert not found.live
    assert found.inside > 0


@pytest.mark.parametrize(
    ("scenario", "since", "wanted"),
    [
        ("unknown", T0, "the plan has no scenario 'unknown'"),
        ("quiet", T0, "quiet has been live since 1970-01-01T00:00:00Z, which is not after --from: nothing to build"),
    ],
)
def test_where_there_is_nothing_to_build_it_says_so(tmp_path: Path, scenario: str, since: int, wanted: str) -> None:
    data = tmp_path / "data"
    go_on(data, 60, OLD)
    with scratch() as out, pytest.raises(UsageError, match=wanted):
        work_out(data, None, scenario, since, out)
