"""Runs one unit of a replay: a partition's journal through the very runtime that a live worker drives."""

from collections.abc import Callable

from models.event import Event
from models.journal import Bundle, Entry, JournalMessage
from models.progress import Progress
from pipeline.errors import PlanError, RunError
from pipeline.replay.books import ReplayBook
from pipeline.replay.counting import Counting
from pipeline.replay.decided import progress_at
from pipeline.replay.errors import LogError
from pipeline.replay.recorded import RecordedLog
from pipeline.replay.stretch import Stretch
from pipeline.replay.task import Unit, UnitResult
from pipeline.replay.workspace import Workspace
from pipeline.runtime.partition import PartitionRuntime
from pipeline.runtime.plans import PlanBook
from pipeline.scenario.sources import PlanSources

COMMIT_EVENTS = 5_000
WRITER = "replay"
# Makes the plan book of a unit from how it finds a plan's sources.
Book = Callable[[Callable[[str], PlanSources | None]], PlanBook]


class UnitRun:
    """One unit at work; `report(messages, events)` is told how far it has come."""

    def __init__(self, unit: Unit, report: Callable[[int, int], None], book: Book | None = None):
        self.unit = unit
        self.task = unit.task
        self.report = report
        self.log = RecordedLog(self.task.log)
        self.checkpoint = self.task.start(unit.partition)
        self.space = Workspace(unit.out / unit.name, self.checkpoint)
        if self.checkpoint is not None:
            self.space.keep_only(unit.takes)
        self.plans = book(self._find) if book else ReplayBook(self._find, self.task.live_from)
        self.runtime = PartitionRuntime(self._progress(), self.space, self.plans)
        self.stretch = Stretch(self.task, lambda: self.runtime.watermark, unit.takes, self._withheld)
        self.counting = Counting()
        self.withheld = 0
        # What goes out counts: not before the stretch has begun.
        self._counted = self.stretch.counting
        self._events_before = 0
        self._offset = self.runtime.progress.next_offset

    def _find(self, name: str) -> PlanSources | None:
        draft = self.task.draft
        return draft if draft is not None and draft.hash == name else self.log.plan(name)

    def _progress(self) -> Progress:
        kept = self.space.progress() if self.checkpoint is not None else None
        if kept is not None:
            return kept
        unit = self.unit
        return Progress(journal="journal", partitions=unit.partitions, partition=unit.partition, lineage=WRITER)

    def _withheld(self, event: Event) -> bool:
        """Say whether an event is the reaction to a live message that this replay has not emitted."""
        command = event.data.get("command_id")
        if not isinstance(command, str) or self.space.was_emitted(command) or self.space.live_at(command) is None:
            return False
        if self.stretch.counting:
            self.withheld += 1
            return True
        return False

    def run(self) -> UnitResult:
        """Replay to the end of the stretch, and count."""
        if self.task.draft is not None and self.log.was_live:
            begun = progress_at(self.checkpoint)
            before = begun.counts.commands if begun is not None else 0
            self.space.load_live(self.log, self.unit.partition, self.unit.takes, before)
        start = self.runtime.progress.next_offset
        if start and self.log.first(self.unit.partition) > start:
            raise LogError(f"the journal's partition {self.unit.partition} begins after the checkpoint")
        self._drain()
        done = 0
        decided = self.log.decided(self.unit.partition) if self.task.as_decided else None
        for message in self.log.messages(self.unit.partition, start):
            if decided is not None and message.offset >= decided.next_offset:
                break
            self._message(message)
            done += 1
            if done % 16 == 0:
                self.report(done, self.runtime.take().progress.counts.events)
            if self.stretch.ended:
                break
        self._close_stretch()
        self.report(self.log.end("journal", self.unit.partition) - start, 0)
        return self._result()

    def _close_stretch(self) -> None:
        """Fire all that is due by the end of the stretch; a log that never came to its beginning is refused."""
        self._drain()
        self._commit()
        if not self._counted:
            raise LogError("nothing in the log is as late as --from: the range is empty")

    def _message(self, message: JournalMessage) -> None:
        for entries in self.stretch.pieces(message):
            if self.stretch.counting and not self._counted:
                self._drain()
                self._commit()
                self._counted = True
                self._events_before = self.runtime.progress.counts.events
            self._read(entries, message.appended_at)
        # What is due goes out before the next message is read: it may hold the reactions to it.
        self._drain()
        if self.runtime.events_in_batch >= COMMIT_EVENTS:
            self._commit()

    def _read(self, entries: list[Entry], appended_at: int) -> None:
        bundle = Bundle(writer=WRITER, entries=entries)
        self.runtime.read(JournalMessage(offset=self._offset, appended_at=appended_at, bundle=bundle))
        self._offset += 1

    def _drain(self) -> None:
        while self.runtime.drain():
            self._commit()
        self.space.emitted(self.runtime.take().commands)

    def _commit(self) -> None:
        batch = self.runtime.take()
        self.space.commit(batch, counting=self._counted, decisions=self.task.decisions)
        if self._counted:
            self.counting.take(batch)
        self.runtime.committed()

    def _result(self) -> UnitResult:
        if self.runtime.progress.plan == "":
            raise LogError("the log has no plan, and none was named: name one with --plan")
        assert self.runtime.plan is not None
        self.counting.finish(self.space, self.runtime.plan)
        self.counting.counts["withheld",] += self.withheld
        found = UnitResult(out=self.unit.out / self.unit.name, counts=dict(self.counting.counts))
        progress = self.runtime.progress
        found.watermark = self.runtime.watermark
        found.events = progress.counts.events - self._events_before
        return found

    def close(self) -> None:
        """Close the folder and the log."""
        self.space.close()
        self.log.close()


def run_unit(unit: Unit, report: Callable[[int, int], None]) -> UnitResult:
    """Run a unit in this process; LogError where the log cannot give a whole answer."""
    run = UnitRun(unit, report)
    try:
        return run.run()
    except (RunError, PlanError) as error:
        # It may come from another process: what carries more than a text would not arrive whole.
        raise LogError(str(error)) from None
    finally:
        run.close()
