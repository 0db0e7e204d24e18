"""`--clock records`: history from Kafka, merged in the order of its own times by one worker that owns everything."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import GroupCoordinatorNotAvailableError
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from agents.ingest.sources import Source
from agents.ingest.writer import JournalWriter
from agents.kafka import clients
from agents.kafka.control import HISTORY, history_state
from models.journal import SourceChanged
from models.topics import Topics
from pipeline.errors import RunError
from pipeline.intake.feedback import FORWARDS, RECEIPTS
from pipeline.intake.record import SourceRecord
from pipeline.journal.records_clock import MERGED, Input, RecordsIngest, SourcePosition

STEP_RECORDS = 5_000
BUFFER_MAX = 20_000
COORDINATOR_S = 30.0


@dataclass
class Buffer:
    """Fetched records of one partition, an iterator for the merge."""

    source: Source
    place: TopicPartition
    end: int
    position: int
    records: deque[ConsumerRecord] = field(default_factory=deque)

    def __iter__(self) -> Iterator[SourceRecord]:
        """Iterate."""
        return self

    def __next__(self) -> SourceRecord:
        """Return the next record that was fetched; StopIteration while there is none."""
        if not self.records:
            raise StopIteration
        return record_of(self.source, self.records.popleft())

    def finished(self) -> bool:
        """Say whether the partition is read to the end that it had at the start."""
        return not self.records and self.position >= self.end


def record_of(source: Source, record: ConsumerRecord, epoch: int = 0) -> SourceRecord:
    """Return a Kafka record as a source record."""
    return SourceRecord(
        source=source.name,
        partition=record.partition,
        epoch=epoch,
        offset=record.offset,
        timestamp_ms=record.timestamp,
        key=record.key,
        value=record.value,
        headers=list(record.headers),
    )


class History:
    """One run over the source topics, from where the last one stopped to the ends that they have now."""

    def __init__(self, bootstrap: str, topics: Topics, sources: list[Source], partitions: int):
        self.bootstrap = bootstrap
        self.topics = topics
        self.sources = sources
        self.partitions = partitions
        self.group = f"{topics.prefix}ingest"

    async def run(self) -> int:
        """Read everything; return the log time of the last record (UTC ms)."""
        await self._alone()
        reader = clients.consumer(self.bootstrap, *[one.topic for one in self.sources], group=self.group)
        writer = JournalWriter(self.bootstrap, self.topics, self.partitions, "history")
        await reader.start()
        await writer.start()
        try:
            return await self._merge(reader, writer)
        finally:
            await reader.stop()
            await writer.stop()

    # A broker that has just started makes its coordinator at the first question.
    @retry(
        retry=retry_if_exception_type(GroupCoordinatorNotAvailableError),
        stop=stop_after_delay(COORDINATOR_S),
        wait=wait_fixed(0.2),
        reraise=True,
    )
    async def _alone(self) -> None:
        admin = clients.admin(self.bootstrap)
        await admin.start()
        try:
            answers = await admin.describe_consumer_groups([self.group])
            members = [member for answer in answers for group in answer.groups for member in group[5]]
        finally:
            await admin.close()
        if members:
            raise RunError("another ingest is at work: under --clock records exactly one owns every partition")

    async def _merge(self, reader: AIOKafkaConsumer, writer: JournalWriter) -> int:
        state = await history_state(self.bootstrap, self.topics)
        buffers = await self._buffers(reader, state.positions)
        inputs = [
            Input(
                source=one.source.name,
                partition=one.place.partition,
                records=one,
                mapper=one.source.mapper(),
                finished=one.finished,
            )
            for one in buffers
        ]
        if not state.joined:
            writer.add_to_all(SourceChanged(id="join", change="join", source=MERGED))
            for name in (RECEIPTS, FORWARDS):
                writer.add_to_all(SourceChanged(id=f"join {name}", change="join", source=name, feedback=True))
            state.joined = True
        merge = RecordsIngest(inputs, self.partitions, state)
        done = False
        while not done:
            if not merge.refill():
                await self._fetch(reader, buffers)
                continue
            slice_ = merge.step(STEP_RECORDS)
            if slice_.done:
                # What the last group says is known when its topic has ended.
                closing = merge.advance(state.time)
                slice_.entries = [one + two for one, two in zip(slice_.entries, closing.entries, strict=True)]
                slice_.dead_letters += closing.dead_letters
                done = True
            for partition, entries in enumerate(slice_.entries):
                for entry in entries:
                    writer.bundler.put(entry, partition, 0)
            await writer.bury(slice_.dead_letters)
            await writer.flush()
            await writer.producer.send_and_wait(self.topics.plans, msgspec.json.encode(state), key=HISTORY, partition=0)
        return state.time

    async def _buffers(self, reader: AIOKafkaConsumer, positions: dict[str, SourcePosition]) -> list[Buffer]:
        places = await self._assigned(reader)
        ends = await reader.end_offsets(places)
        begins = await reader.beginning_offsets(places)
        by_topic = {one.topic: (order, one) for order, one in enumerate(self.sources)}
        buffers = []
        for place in sorted(places, key=lambda place: (by_topic[place.topic][0], place.partition)):
            source = by_topic[place.topic][1]
            known = positions.get(f"{source.name}/{place.partition}")
            first = known.first if known else begins[place]
            reader.seek(place, first)
            buffers.append(Buffer(source, place, ends[place], first))
        return buffers

    async def _assigned(self, reader: AIOKafkaConsumer) -> list[TopicPartition]:
        """Return every partition of every source: this worker must own them all."""
        while not reader.assignment():
            await reader._client.ready(reader._client.get_random_node())
            await reader.getmany(timeout_ms=100)
        wanted = {
            TopicPartition(one.topic, partition)
            for one in self.sources
            for partition in reader.partitions_for_topic(one.topic) or ()
        }
        if reader.assignment() != wanted:
            raise RunError("another ingest joined: under --clock records exactly one owns every partition")
        return list(wanted)

    async def _fetch(self, reader: AIOKafkaConsumer, buffers: list[Buffer]) -> None:
        by_place = {one.place: one for one in buffers}
        room = [one.place for one in buffers if len(one.records) < BUFFER_MAX and one.position < one.end]
        fetched = await reader.getmany(*room, timeout_ms=200, max_records=STEP_RECORDS)
        for place, records in fetched.items():
            by_place[place].records.extend(one for one in records if one.offset < by_place[place].end)
        for place in room:
            by_place[place].position = await reader.position(place)
