"""`--clock records`: history, merged in the order of its own times; one merged source, named "*", ticks.

Exactly one ingest owns every source partition, so there is one order of all records: time, then source, partition and
offset. A tick that names the merge as its source stands before every event that moves time on in that journal
partition; it covers the records of the merge by number. Adjacent lines of one event are taken at once (see `units`),
so that every tick says the same whether a source is one file or eight partitions.
"""

import heapq
from collections.abc import Callable

import msgspec

from models.dead_letter import DeadLetter
from models.event import Event
from models.ids import partition_of
from models.journal import Entry, Tick
from pipeline.journal.units import Input, Unit, UnitReader

__all__ = ["MERGED", "IngestState", "Input", "RecordsIngest", "Slice", "SourcePosition"]

MERGED = "*"


class SourcePosition(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Where one source partition stands: the offset of its next record, and the time (UTC ms) that it has reached."""

    first: int = 0
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
    ended: bool = False  # an event came that is to be worked on before the next record


class RecordsIngest:
    """Merges inputs and turns them into journal entries, some records at a time.

    `ends` says of an event whether a slice ends behind it (behind its record, or its lines).
    """

    def __init__(
        self,
        inputs: list[Input],
        partitions: int,
        state: IngestState,
        ends: Callable[[Event], bool] = lambda _: False,
    ):
        self.inputs = inputs
        self.partitions = partitions
        self.state = state
        self.ends = ends
        for one in inputs:
            state.positions.setdefault(one.key, SourcePosition())
        self._heap: list[tuple[int, int, int, Unit]] = []
        self._starved: set[int] = set()
        self._readers = [UnitReader(one, state.positions[one.key].time) for one in inputs]
        for index in range(len(inputs)):
            self._pull(index)

    def _pull(self, index: int) -> None:
        """Put the next unit of an input on the heap, under its time."""
        reader = self._readers[index]
        unit = reader.next()
        if unit is not None:
            heapq.heappush(self._heap, (unit.at, index, unit.records[0].offset, unit))
        elif reader.starved:
            self._starved.add(index)

    def refill(self) -> bool:
        """Look again at inputs that had nothing; say whether the merge can go on (every input has a next record)."""
        for index in sorted(self._starved):
            self._starved.discard(index)
            self._pull(index)
        return not self._starved

    def step(self, records_max: int, until_ms: int | None = None) -> Slice:
        """Take so many records (those before a log time, where one is given) and return what they gave.

        The last lines of a group may bring it beyond `records_max`: the cut depends on the records alone.
        """
        out = Slice(entries=[[] for _ in range(self.partitions)])
        while self._heap and not self._starved and out.records < records_max and not out.ended:
            at, index, _, unit = self._heap[0]
            if until_ms is not None and at >= until_ms:
                break
            heapq.heappop(self._heap)
            self._take(out, index, unit)
            self._pull(index)
        out.done = not self._heap and not self._starved
        return out

    @property
    def next_time(self) -> int | None:
        """Return the log time of the next record (UTC ms)."""
        return self._heap[0][0] if self._heap else None

    def _take(self, out: Slice, index: int, unit: Unit) -> None:
        mapper, state = self.inputs[index].mapper, self.state
        found: list[Event | DeadLetter] = []
        for record in unit.records:
            found += mapper.feed(msgspec.structs.replace(record, timestamp_ms=unit.at))
        found += mapper.flush()
        state.time = max(state.time, unit.at)
        out.records += len(unit.records)
        state.records += len(unit.records)
        state.merged += len(unit.records)
        position = state.positions[self.inputs[index].key]
        position.first, position.time = unit.records[-1].offset + 1, unit.last
        self._put(out, found)

    def _put(self, out: Slice, found: list[Event | DeadLetter]) -> None:
        for one in found:
            if isinstance(one, DeadLetter):
                out.dead_letters.append(one)
                self.state.dead += 1
                continue
            partition = partition_of(one.customer, self.partitions)
            self._tick(out, partition, one.arrived_at)
            out.entries[partition].append(one)
            out.ended = out.ended or self.ends(one)
            self.state.events += 1
            self.state.since_tick[partition] = self.state.since_tick.get(partition, 0) + 1

    def _tick(self, out: Slice, partition: int, before: int) -> None:
        if before > self.state.ticked.get(partition, 0):
            out.entries[partition].append(self.tick(partition, before))

    def tick(self, partition: int, before: int) -> Tick:
        """Return the tick of one journal partition, and note it."""
        state = self.state
        first, state.covered[partition] = state.covered.get(partition, 0), state.merged
        events, state.since_tick[partition] = state.since_tick.get(partition, 0), 0
        state.ticked[partition] = before
        return Tick(source=MERGED, first=first, next=state.merged, events=events, before=before)

    def advance(self, to_ms: int) -> Slice:
        """Move every journal partition to a time (UTC ms): the end of a history."""
        out = Slice(entries=[[] for _ in range(self.partitions)], done=True)
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
