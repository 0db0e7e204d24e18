"""One partition on a store in memory: messages in, batches out."""

from collections.abc import Mapping

from msgspec.structs import replace

from models.event import Event, Position
from models.ids import digest
from models.journal import Bundle, Entry, JournalMessage, PlanActivated, SourceChanged, Tick
from models.progress import Progress
from pipeline.engine.plan import Plan
from pipeline.runtime.batch import Batch
from pipeline.runtime.partition import PartitionRuntime
from pipeline.runtime.plans import PlanBook
from pipeline.store.memory import MemoryStore
from tests.engine.build import plan

SOURCE = "shop"


class Book(PlanBook):
    """Plans that are made by hand."""

    def __init__(self, *plans: Plan):
        super().__init__(lambda name: None)
        self._compiled = {one.hash: one for one in plans}


class Desk:
    """A partition with its plan active and its one source there; `say` puts entries into the journal and commits."""

    def __init__(self, *plans: Plan, records_clock: bool = False):
        self.book = Book(*(plans or (plan(),)))
        self.store = MemoryStore()
        self.progress = Progress(journal="journal", partitions=1, partition=0, lineage="test")
        self.records_clock = records_clock
        self.batches: list[Batch] = []
        self.offset = 0
        self.read_offset = 0
        self.covered = 0
        self.open()
        first = next(iter(self.book._compiled))
        source = "*" if records_clock else SOURCE
        self.say(SourceChanged(id="join", change="join", source=source), activated(first))

    def open(self) -> None:
        """Open the partition from what was committed."""
        self.runtime = PartitionRuntime(self.progress, self.store, self.book)

    def message(self, *entries: Entry, appended_at: int = 2**60) -> JournalMessage:
        return JournalMessage(
            offset=self.offset, appended_at=appended_at, bundle=Bundle(writer="test", entries=list(entries))
        )

    def read(self, *entries: Entry, appended_at: int = 2**60) -> None:
        """Read a message, and commit nothing."""
        self.runtime.read(self.message(*entries, appended_at=appended_at))
        self.offset += 1

    def commit(self) -> Batch:
        batch = self.runtime.take()
        self.store.apply(batch)
        self.progress = batch.progress
        self.batches.append(batch)
        self.runtime.committed()
        return batch

    def say(self, *entries: Entry, appended_at: int = 2**60) -> Batch:
        """Read a message, fire what is due, commit."""
        self.read(*entries, appended_at=appended_at)
        self.runtime.drain_all()
        return self.commit()

    def at(self, event: Event, index: int = 0) -> Event:
        """Give an event its place in the source."""
        self.read_offset += 1
        return replace(event, position=Position(SOURCE, 0, 0, self.read_offset, index))

    def tick(self, before: int) -> Tick:
        first, self.covered = self.covered, self.read_offset + 1
        source = "*" if self.records_clock else SOURCE
        return Tick(source=source, first=first, next=self.covered, before=before)

    @property
    def sends(self) -> list[tuple[str, str, int]]:
        return [(one.customer, one.step, one.due_at) for batch in self.batches for one in batch.commands]

    @property
    def reasons(self) -> list[tuple[str, str]]:
        return [(one.outcome, one.reason) for batch in self.batches for one in batch.decisions]

    @property
    def counts(self) -> Mapping[str, int]:
        counts = self.progress.counts
        return {name: getattr(counts, name) for name in counts.__struct_fields__}


def activated(name: str, at: int = 0, control: str = "") -> PlanActivated:
    return PlanActivated(id=control or digest("activate", name, str(at)), plan=name, at=at)
