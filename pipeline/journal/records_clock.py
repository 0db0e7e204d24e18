"""`--clock records`: history, merged in the order of its own times; one merged source, named "*", ticks.

Exactly one ingest owns every source partition, so there is one order of all records: time, then source, partition and
offset. A tick that names the merge as its source stands before every event that moves time on in that journal
partition; it covers the records of the merge by number. An open group holds the tick back, for its event is still to
come.
"""

import heapq
from collections.abc import Callable, Iterator

import msgspec

from models.dead_letter import DeadLetter
from models.event import Event
from models.ids import partition_of
from models.journal import Entry, Tick
from pipeline.intake.mapper import Mapper
from pipeline.intake.native import Fault
from pipeline.intake.record import SourceRecord

MERGED = "*"


class SourcePosition(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Where one source partition stands: `first` is to be read again after a restart, `next` is the next new record.

    Records between them rebuild an open group and give nothing else: what they gave was written already.
    """

    first: int = 0
    next: int = 0
    epoch: int = 0
    time: int = 0


class IngestState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What an ingest must keep to go on: positions by "source/partition", the merge's count and time, the ledger."""

    positions: dict[str, SourcePosition] = {}
    merged: int = 0
    time: int = 0
    ticked: dict[int, int] = {}  # journal partition -> `before` of its last tick
    covered: dict[int, int] = {}  # journal partition -> records that its last tick covered
    since_tick: dict[int, int] = {}  # journal partition -> events since its last tick
    records: int = 0
    events: int = 0
    dead: int = 0
    fed_back: int = 0  # events that came back from behind the engine
    joined: bool = False


class Slice(msgspec.Struct, kw_only=True):
    """What some records gave: journal entries by partition, dead letters, and whether the inputs are at their end."""

    entries: list[list[Entry]]
    dead_letters: list[DeadLetter] = []
    done: bool = False
    records: int = 0


class Input(msgspec.Struct, kw_only=True):
    """One source partition of the merge. `finished` says whether an iterator that gives nothing now is at its end."""

    source: str
    partition: int
    records: Iterator[SourceRecord]
    mapper: Mapper
    finished: Callable[[], bool] = lambda: True

    @property
    def key(self) -> str:
        """Return the name under which its position is kept."""
        return f"{self.source}/{self.partition}"


class RecordsIngest:
    """Merges inputs and turns them into journal entries, some records at a time."""

    def __init__(self, inputs: list[Input], partitions: int, state: IngestState):
        self.inputs = inputs
        self.partitions = partitions
        self.state = state
        for one in inputs:
            state.positions.setdefault(one.key, SourcePosition())
        self._heap: list[tuple[int, int, int, SourceRecord]] = []
        self._starved: set[int] = set()
        for index in range(len(inputs)):
            self._pull(index)

    def _pull(self, index: int) -> None:
        """Put the next record of an input on the heap, under its time; one partition's times never go back."""
        one = self.inputs[index]
        record = next(one.records, None)
        if record is None:
            if not one.finished():
                self._starved.add(index)
            return
        position = self.state.positions[one.key]
        at = position.time
        try:
            said = record.timestamp_ms if record.timestamp_ms is not None else one.mapper.time_of(record)
            at = max(at, said)
        except Fault:
            pass  # the mapper makes a dead letter of it; it stands at the time of the record before
        heapq.heappush(self._heap, (at, index, record.offset, record))

    def refill(self) -> bool:
        """Look again at inputs that had nothing; say whether the merge can go on (every input has a next record)."""
        for index in sorted(self._starved):
            self._starved.discard(index)
            self._pull(index)
        return not self._starved

    def step(self, records_max: int, until_ms: int | None = None) -> Slice:
        """Take up to so many records (those before a log time, where one is given) and return what they gave."""
        out = Slice(entries=[[] for _ in range(self.partitions)])
        while self._heap and not self._starved and out.records < records_max:
            at, index, _, record = self._heap[0]
            if until_ms is not None and at >= until_ms:
                break
            heapq.heappop(self._heap)
            self._take(out, index, at, record)
            self._pull(index)
        out.done = not self._heap and not self._starved
        return out

    @property
    def next_time(self) -> int | None:
        """Return the log time of the next record (UTC ms)."""
        return self._heap[0][0] if self._heap else None

    def _take(self, out: Slice, index: int, at: int, record: SourceRecord) -> None:
        one = self.inputs[index]
        position = self.state.positions[one.key]
        again = record.offset < position.next
        record = msgspec.structs.replace(record, timestamp_ms=at)
        found = one.mapper.feed(record)
        position.time = at
        self.state.time = max(self.state.time, at)
        if not again:
            out.records += 1
            self.state.records += 1
            self.state.merged += 1
            position.next = record.offset + 1
            self._put(out, found)
        open_from = one.mapper.open_from
        position.first = position.next if open_from is None else open_from

    def _put(self, out: Slice, found: list[Event | DeadLetter]) -> None:
        for one in found:
            if isinstance(one, DeadLetter):
                out.dead_letters.append(one)
                self.state.dead += 1
                continue
            partition = partition_of(one.customer, self.partitions)
            self._tick(out, partition, one.arrived_at)
            out.entries[partition].append(one)
            self.state.events += 1
            self.state.since_tick[partition] = self.state.since_tick.get(partition, 0) + 1

    def _before(self, at: int) -> int:
        """No tick passes the time of an open group: its event is still to come."""
        opened = [one.mapper.open_time for one in self.inputs]
        return min([at, *(time for time in opened if time is not None)])

    def _tick(self, out: Slice, partition: int, at: int) -> None:
        before = self._before(at)
        if before <= self.state.ticked.get(partition, 0):
            return
        out.entries[partition].append(self.tick(partition, before))

    def tick(self, partition: int, before: int) -> Tick:
        """Return the tick of one journal partition, and note it."""
        state = self.state
        first, state.covered[partition] = state.covered.get(partition, 0), state.merged
        events, state.since_tick[partition] = state.since_tick.get(partition, 0), 0
        state.ticked[partition] = before
        return Tick(source=MERGED, first=first, next=state.merged, events=events, before=before)

    def advance(self, to_ms: int) -> Slice:
        """Close open groups and move every journal partition to a time (UTC ms): the end of a history."""
        out = Slice(entries=[[] for _ in range(self.partitions)], done=True)
        for one in self.inputs:
            self._put(out, one.mapper.flush())
            position = self.state.positions[one.key]
            position.first = position.next
        self.state.time = max(self.state.time, to_ms)
        for partition in range(self.partitions):
            if to_ms > self.state.ticked.get(partition, 0):
                out.entries[partition].append(self.tick(partition, to_ms))
        return out

    def tick_all(self) -> Slice:
        """Tick every partition at the merge's time, so that timers of quiet partitions fire."""
        out = Slice(entries=[[] for _ in range(self.partitions)])
        for partition in range(self.partitions):
            self._tick(out, partition, self.state.time)
        return out
