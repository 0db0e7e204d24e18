"""`--clock broker`: the store's topics as they come, in rounds of fetch, map, write, commit.

In every round what was fetched becomes bundles that are acknowledged; four times a second the sources that gave
something tick, and only when their ticks are acknowledged in every journal partition are their offsets committed: a
crash repeats at most what came since, and the journal's readers drop what they have seen by position.

Ticks carry the broker's time alone. A busy source ticks its newest arrival; an idle one the append time of a journal
message of ours that was acknowledged before the fetch that found nothing was sent. Both less the declared delay, and
never later than the append time of our last journal message.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, OffsetAndMetadata, TopicPartition

from agents import metrics
from agents.ingest.dead_letters import message_of
from agents.ingest.records import record_of
from agents.ingest.sources import Source
from agents.ingest.writer import JournalWriter
from agents.kafka import clients
from models.dead_letter import DeadLetter
from models.event import Event, Position
from models.journal import SourceChanged, Tick
from models.receipt import Receipt
from models.topics import Topics
from pipeline.intake.feedback import FORWARDS, event_of_receipt, forwarded
from pipeline.intake.mapper import Mapper

ROUND_RECORDS = 5_000
ROUND_MS = 50
IDLE_TICK_S = 1.0
# A tick goes to every journal partition: 32 source partitions that tick in each round of 50 ms cost 5,000 entries a
# second over 8 of them, as much as 5,000 events. A timer fires at most this much later.
BUSY_TICK_S = 0.25
_receipt = msgspec.json.Decoder(Receipt)
_event = msgspec.json.Decoder(Event)


@dataclass
class Partition:
    """One source partition that this worker owns: where its ticks stand."""

    source: Source
    mapper: Mapper | None
    covered: int  # every record before this offset was mapped
    ticked: int  # the last tick covers up to here
    before: int = 0
    newest: int = 0
    counts: dict[int, int] = field(default_factory=dict)

    @property
    def committable(self) -> int:
        """Return the offset that may be committed: it never passes an open group."""
        opened = self.mapper.open_from if self.mapper else None
        return self.covered if opened is None else min(opened, self.covered)


class LiveIngest:
    """One worker's rounds over the partitions that the group gives it."""

    def __init__(self, bootstrap: str, topics: Topics, sources: list[Source], partitions: int, name: str):
        self.bootstrap = bootstrap
        self.topics = topics
        self.by_topic = {one.topic: one for one in sources}
        self.writer = JournalWriter(bootstrap, topics, partitions, name)
        kind = "feedback" if sources[0].feedback else "ingest"
        self.group = f"{topics.prefix}{kind}"
        self.reader: AIOKafkaConsumer = clients.consumer(
            bootstrap, *self.by_topic, group=self.group, session_timeout_ms=6_000, heartbeat_interval_ms=1_000
        )
        self.owned: dict[TopicPartition, Partition] = {}
        # (our clock, the broker's append time): an acknowledgement's moment, to compare with a fetch's.
        self._acks: deque[tuple[float, int]] = deque(maxlen=64)
        self._ticked = self._idle_ticked = 0.0
        self._unticked: dict[TopicPartition, None] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Do rounds until stopped; an error ends the run, and the next one begins at the committed offsets."""
        await self.writer.start()
        await self.reader.start()
        try:
            while not stop.is_set():
                await self._round()
        finally:
            await self.reader.stop()
            await self.writer.stop()

    async def _round(self) -> None:
        """Fetch, map, write, await, commit."""
        if self.reader.assignment() != set(self.owned):
            await self._own()
        fetched = await self.reader.getmany(timeout_ms=ROUND_MS, max_records=ROUND_RECORDS)
        fetched = {place: records for place, records in fetched.items() if place in self.owned}
        letters: list[DeadLetter] = []
        for place, records in fetched.items():
            letters += self._map(self.owned[place], records)
        self._unticked |= dict.fromkeys(fetched)
        busy, idle = self._busy(), self._idle()
        if not fetched and not busy and not idle:
            return
        for place in busy:
            self._tick(place, busy=True)
        for place in idle:
            self._tick(place, busy=False)
        for letter in letters:
            metrics.DEAD.labels("intake").inc()
            await self.writer.producer.send(self.topics.dead_letters, **message_of(letter))
        await self.writer.producer.flush()
        await self.writer.flush()
        self._acks.append((time.time(), self.writer.appended_at))
        await self._commit(busy)

    async def _commit(self, places: list[TopicPartition]) -> None:
        owned = self.reader.assignment()
        offsets = {place: OffsetAndMetadata(self.owned[place].committable, "") for place in places if place in owned}
        if offsets:
            await self.reader.commit(offsets)

    async def _own(self) -> None:
        """Take what the group gave: start where it is committed, else at the beginning; let the source join."""
        places = self.reader.assignment()
        self.owned = {place: one for place, one in self.owned.items() if place in places}
        new = sorted(places - set(self.owned))
        begins = await self.reader.beginning_offsets(new) if new else {}
        for place in new:
            source = self.by_topic[place.topic]
            committed = await self.reader.committed(place)
            first = begins[place] if committed is None else max(committed, begins[place])
            self.reader.seek(place, first)
            self.owned[place] = Partition(source, None if source.feedback else source.mapper(), first, first)
            self.writer.add_to_all(
                SourceChanged(
                    id=f"join {source.name}/{place.partition}",
                    change="join",
                    source=source.name,
                    partition=place.partition,
                    first=begins[place],
                    feedback=source.feedback,
                )
            )
        await self.writer.flush()
        self._acks.append((time.time(), self.writer.appended_at))

    def _map(self, owned: Partition, records: list[ConsumerRecord]) -> list[DeadLetter]:
        letters: list[DeadLetter] = []
        metrics.RECORDS.labels(owned.source.name).inc(len(records))
        for record in records:
            found = self._events(owned, record)
            for one in found:
                if isinstance(one, DeadLetter):
                    letters.append(one)
                    continue
                partition = self.writer.bundler.add(one, one.customer, 0)
                owned.counts[partition] = owned.counts.get(partition, 0) + 1
            owned.newest = max(owned.newest, record.timestamp)
            owned.covered = record.offset + 1
        return letters

    def _events(self, owned: Partition, record: ConsumerRecord) -> list[Event | DeadLetter]:
        if owned.mapper is not None:
            return owned.mapper.feed(record_of(owned.source, record))
        position = Position(owned.source.name, record.partition, 0, record.offset)
        try:
            if owned.source.name == FORWARDS:
                return [forwarded(_event.decode(record.value), position)]
            found = event_of_receipt(_receipt.decode(record.value), position)
        except msgspec.DecodeError as error:
            place = {"source": owned.source.name, "partition": record.partition, "offset": record.offset}
            return [DeadLetter(stage="intake", reason=str(error), key=record.key, value=record.value, **place)]
        return [] if found is None else [found]

    def _busy(self) -> list[TopicPartition]:
        """Return the partitions that gave something since their last tick, when ticks are due."""
        now = time.monotonic()
        if now - self._ticked < BUSY_TICK_S:
            return []
        self._ticked = now
        found = [place for place in self._unticked if place in self.owned]
        self._unticked = {}
        return found

    def _idle(self) -> list[TopicPartition]:
        """Return the partitions that an idle tick is due for: all that was ever written is read."""
        now = time.monotonic()
        if now - self._idle_ticked < IDLE_TICK_S:
            return []
        self._idle_ticked = now
        found = []
        for place, one in self.owned.items():
            if place in self._unticked or one.source.feedback:
                continue
            end, stable = self.reader.highwater(place), self.reader.last_stable_offset(place)
            if end is not None and end == stable and self._read_to(place) >= end:
                found.append(place)
        return found

    def _read_to(self, place: TopicPartition) -> int:
        state = self.reader._subscription.subscription.assignment.state_value(place)
        return state.position if state is not None and state.has_valid_position else -1

    def _fetched_after(self, place: TopicPartition) -> int:
        """Return the newest append time of ours that was acknowledged before the partition's last fetch was sent."""
        polled = self.reader.last_poll_timestamp(place)
        if polled is None:
            return 0
        sent = polled / 1000 - clients.FETCH_WAIT_MS / 1000 - 0.01
        return max((appended for moment, appended in self._acks if moment <= sent), default=0)

    def _tick(self, place: TopicPartition, *, busy: bool) -> None:
        one = self.owned[place]
        if one.source.feedback:
            return
        upto = one.newest if busy else self._fetched_after(place)
        opened = one.mapper.open_time if one.mapper else None
        if opened is not None:
            upto = min(upto, opened)
        if self.writer.appended_at:
            upto = min(upto, self.writer.appended_at)
        one.before = max(one.before, upto - one.source.delay_ms)
        end = one.covered if busy else max(one.covered, self._read_to(place))
        for partition in range(self.writer.partitions):
            tick = Tick(
                source=one.source.name,
                partition=place.partition,
                first=one.ticked,
                next=end,
                events=one.counts.get(partition, 0),
                before=max(one.before, 0),
                upto=max(upto, 0),
            )
            self.writer.bundler.put(tick, partition, 0)
        one.counts = {}
        one.ticked = one.covered = end
