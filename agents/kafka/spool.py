"""A cluster's log as a recorded one: its topics copied to a spool on disk, up to where they end now."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from agents.kafka import clients
from agents.kafka.control import LIVE, journal_partitions, read_plans
from agents.kafka.tables import read_to_end
from models.ids import partition_of
from models.progress import Progress
from models.topics import Topics
from pipeline.replay.decided import COUNTED, count_at, counted
from pipeline.replay.errors import LogError
from pipeline.replay.recorded import Decided, SpoolWriter
from pipeline.scenario.sources import PlanSources
from pipeline.store.codec import COLD, HOT, PROGRESS, decode_progress

STREAMS = ("delivery", "decisions", "cancels", "receipts", "journal")
HASH_LENGTH = 32
Watch = Callable[[int, int], None]


def spool_cluster(
    bootstrap: str, topics: Topics, out: Path, watch: Watch | None = None, *, customer: str | None = None
) -> None:
    """Copy what a replay reads; `watch(records, of)` is told how far it is. The cluster is only read.

    With a customer, only the partition in which they stand is copied.
    """
    asyncio.run(_spool(bootstrap, topics, out, watch, customer))


async def _spool(bootstrap: str, topics: Topics, out: Path, watch: Watch | None, customer: str | None) -> None:
    partitions = await journal_partitions(bootstrap, topics)
    only = range(partitions) if customer is None else [partition_of(customer, partitions)]
    writer = SpoolWriter(out, partitions)
    reader = clients.consumer(bootstrap)
    await reader.start()
    try:
        await _plans(bootstrap, topics, writer)
        starts = await _starts(reader, topics, only)
        copying = _Copying(writer, topics, await _total(reader, starts), watch)
        copying.begins(starts)
        for place, start in starts.items():
            async for record in read_to_end(reader, {place: start}):
                copying.keep(record)
        for number in only:
            place = TopicPartition(topics.changelog, number)
            async for record in read_to_end(reader, {place: copying.after.get(number, starts[place])}):
                copying.look_again(record)
            copying.note(number)
    finally:
        await reader.stop()
        writer.close()


class _Copying:
    """Writes the spool; the changelogs come first, for of what was decided only what they know of is copied.

    A stream whose beginning retention took is copied whole: which of it came later is told by nothing.
    """

    def __init__(self, writer: SpoolWriter, topics: Topics, total: int, watch: Watch | None):
        self.writer = writer
        self.topics = topics
        self.progress: dict[int, Progress] = {}
        self.after: dict[int, int] = {}  # by partition, where the changelog is read on
        self._moving: set[int] = set()
        self._held: Counter[tuple[str, int]] = Counter()
        self._cut: set[tuple[str, int]] = set()
        self._done, self._total, self._watch = 0, total, watch

    def begins(self, starts: dict[TopicPartition, int]) -> None:
        """Hear at which offset each part of each stream begins."""
        self._cut = {
            (place.topic.removeprefix(self.topics.prefix), place.partition) for place in starts if starts[place]
        }

    def keep(self, record: ConsumerRecord) -> None:
        """Copy a record."""
        self._done += 1
        if self._watch is not None and self._done % 1_000 == 0:
            self._watch(self._done, self._total)
        if record.topic == self.topics.changelog:
            self.after[record.partition] = record.offset + 1
            if record.key == PROGRESS:
                self.progress[record.partition] = decode_progress(record.value)
            elif record.key[:1] in {HOT, COLD}:
                self.writer.state(record.key, record.value)
            return
        stream, number = record.topic.removeprefix(self.topics.prefix), record.partition
        if stream in COUNTED and counted(record.value):
            if (stream, number) not in self._cut and self._held[stream, number] >= self._count(stream, number):
                return
            self._held[stream, number] += 1
        appended_at = record.timestamp if stream == "journal" else None
        self.writer.put(stream, number, record.offset, record.value, appended_at)

    def _count(self, stream: str, partition: int) -> int:
        progress = self.progress.get(partition)
        return 0 if progress is None else count_at(progress.counts, stream)

    def look_again(self, record: ConsumerRecord) -> None:
        """Hear what a changelog says after all was copied."""
        self._moving.add(record.partition)

    def note(self, partition: int) -> None:
        """Write down how far a partition had been decided."""
        progress = self.progress.get(partition)
        if progress is None:
            return
        lacking = {
            stream: max(0, self._count(stream, number) - self._held[stream, number])
            for stream, number in self._cut
            if number == partition and stream in COUNTED
        }
        moving = partition in self._moving
        found = Decided(next_offset=progress.next_offset, counts=progress.counts, lacking=lacking, moving=moving)
        self.writer.decided(partition, found)


async def _plans(bootstrap: str, topics: Topics, writer: SpoolWriter) -> None:
    found = await read_plans(bootstrap, topics)
    live = found.get(LIVE, b"").decode()
    for key, raw in found.items():
        if len(key) == HASH_LENGTH:
            writer.plan(PlanSources.decode(raw), live=key.decode() == live)


async def _starts(reader: AIOKafkaConsumer, topics: Topics, partitions: Sequence[int]) -> dict[TopicPartition, int]:
    """Return where each partition of each stream begins; LogError where one is missing."""
    metadata = await reader._client.fetch_all_metadata()
    places = []
    for name in (topics.changelog, *(topics.name(stream) for stream in STREAMS)):
        there = metadata.partitions_for_topic(name) or set()
        missing = [number for number in partitions if number not in there]
        if missing:
            raise LogError(f"the topic {name} has no partition {missing[0]}: the log cannot be read whole")
        places += [TopicPartition(name, number) for number in partitions]
    begins = await reader.beginning_offsets(places)
    return {place: begins[place] for place in places}


async def _total(reader: AIOKafkaConsumer, starts: dict[TopicPartition, int]) -> int:
    ends = await reader.end_offsets(list(starts))
    return sum(ends[place] - start for place, start in starts.items())
