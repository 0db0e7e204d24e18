"""A stretch of the log, from the nearest checkpoint or from the log's beginning, comes out the same."""

import json
from pathlib import Path

import msgspec
import pytest

from models.command import Command, DeliveryRecord
from pipeline.intake.record import SourceRecord
from pipeline.replay.backtest import rows_of
from pipeline.replay.checkpoints import nearest
from pipeline.replay.recorded import RecordedLog
from pipeline.replay.spread import replay, scratch
from pipeline.replay.summary import summary
from pipeline.replay.task import Task
from pipeline.replay.workspace import COMMANDS, DECISIONS
from pipeline.runtime.checkpoints import DailyCheckpoints
from pipeline.scenario.sources import PlanSources
from tests.replay.build import changed, plan, recorded, verified, world
from tests.sim.world import DAY, T0, small_slices

SINCE = T0 + 3 * DAY


def opened(first: Path, inputs: list[SourceRecord]) -> SourceRecord:
    """Return the open, at the end of the history, of a message that a run over it sent in its first days."""
    log = RecordedLog(first)
    sent = [msgspec.json.decode(raw, type=DeliveryRecord) for raw in log.records("delivery", 0)]
    log.close()
    one = next(row for row in sent if isinstance(row, Command) and row.emitted_at < SINCE - 2 * DAY)
    at = inputs[-1].timestamp_ms + 60_000
    said = {"type": "message_opened", "customer": one.customer, "command_id": one.id, "occurred_at": at}
    return SourceRecord(source="shop", offset=len(inputs), timestamp_ms=at, value=json.dumps(said).encode())


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose run took a checkpoint on every day, however fast the days went by, and with a late open."""
    folder = tmp_path_factory.mktemp("kept")
    first = recorded(folder / "first")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DailyCheckpoints.__init__.__kwdefaults__, "every_s", 0.0)
        small_slices(patch)
        one = world(folder / "data")
        one.inputs.append(opened(first, one.inputs))
        one.run()
    return folder / "data"


def outcome(task: Task, processes: int = 1) -> tuple[list[object], list[object], dict[str, object]]:
    with scratch() as out:
        found = replay(task, out, processes)
        return list(rows_of(found, COMMANDS)), list(rows_of(found, DECISIONS)), summary(found)


@pytest.mark.parametrize(
    "draft",
    [plan(), changed("wait: 23h", "wait: 25h"), changed("wait: 45m", "wait: 90m")],
    ids=["live", "later", "other"],
)
@pytest.mark.parametrize("processes", [1, 2])
def test_from_a_checkpoint_and_from_the_beginning_are_the_same(kept: Path, draft: PlanSources, processes: int) -> None:
    checkpoint = nearest(kept, SINCE)
    assert checkpoint is not None
    whole = Task(kept, draft, since=SINCE, decisions=True)
    near = Task(kept, draft, since=SINCE, decisions=True, checkpoint=checkpoint)
    assert outcome(near, processes) == outcome(whole)
    assert len(outcome(whole)[0]) > 10


def test_the_nearest_checkpoint_is_not_after_the_moment(kept: Path) -> None:
    checkpoint = nearest(kept, SINCE)
    assert checkpoint is not None
    assert int(checkpoint.name.partition("-")[2]) <= SINCE
    assert nearest(kept, T0 - DAY) is None


def test_the_live_plan_published_again_in_the_middle_sends_what_was_sent_after_it(kept: Path) -> None:
    commands, _, figures = outcome(Task(kept, plan(), since=SINCE, checkpoint=nearest(kept, SINCE)))
    log = RecordedLog(kept)
    live = {raw for raw in log.records("delivery", 0) if b'"kind":"command"' in raw}
    log.close()
    assert {row[1][1:] for row in commands if isinstance(row, tuple)} <= live
    assert figures["exact"]["share"] == "100.0%"  # type: ignore[index]


def test_a_verification_from_a_checkpoint_holds_too(kept: Path) -> None:
    verdict = verified(Task(kept, checkpoint=nearest(kept, SINCE)))
    assert verdict.differences == []
    assert 0 < verdict.compared["delivery"] < verified(Task(kept)).compared["delivery"]
