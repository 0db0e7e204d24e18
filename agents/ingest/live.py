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
from dataclasses import dataclass

import msgspec
import structlog
from aiokafka import (
    AIOKafkaConsumer,
    ConsumerRebalanceListener,
    ConsumerRecord,
    OffsetAndMetadata,
    TopicPartition,
)

from agents import metrics
from agents.ingest.epochs import Epochs
from agents.ingest.fingerprints import Footprint, committed, differs, fingerprint, footprint_of
from agents.ingest.records import record_of
from agents.ingest.sources import Source
from agents.ingest.writer import JournalWriter
from agents.kafka import clients
from agents.kafka.control import epoch_key, first_key, put, read_plans
from agents.pausing import pause_at
from models.dead_letter import DeadLetter
from models.event import Event, Position
from models.journal import SourceChanged, Tick
from models.receipt import Receipt
from models.topics import Topics
from pipeline.intake.feedback import FORWARDS, event_of_receipt, forwarded
from pipeline.intake.mapper import Mapper
from pipeline.journal.ticks import FetchEnd, OpenGroup, SourceClock

ROUND_RECORDS = 5_000
ROUND_MS = 50
# An idle source's ticks cost a journal message each; a timer's lateness of a second is what they buy.
IDLE_TICK_S = 1.0
# A tick goes to every journal partition: 32 source partitions that tick in each round of 50 ms cost 5,000 entries a
# second over 8 of them, as much as 5,000 events. A timer fires at most this much later.
BUSY_TICK_S = 0.25
# A source that is not the one that was read waits for an operator: how often his word is looked for.
STOPPED_S = 2.0
log = structlog.get_logger()
_encode = msgspec.json.Encoder().encode
_receipt = msgspec.json.Decoder(Receipt)
_event = msgspec.json.Decoder(Event)


@dataclass
class Partition:
    """One source partition that this worker owns; of a feedback topic the clock only knows how far it was read."""

    source: Source
    partition: int
    mapper: Mapper | None
    clock: SourceClock
    footprint: Footprint
    first_noted: bool

    @property
    def group(self) -> OpenGroup | None:
        """Return the lines that are not an event yet."""
        if self.mapper is None or self.mapper.open_from is None or self.mapper.open_time is None:
            return None
        return OpenGroup(offset=self.mapper.open_from, arrived_ms=self.mapper.open_time)

    @property
    def committable(self) -> int:
        """Return the offset that may be committed: what was read of a feedback topic, what is ticked of a source."""
        return self.clock.next if self.source.feedback else self.clock.committable


class _Standing(ConsumerRebalanceListener):
    """What was given is paused, with a place to stand on, until a round has found where to go on."""

    def __init__(self, ingest: "LiveIngest"):
        self.ingest = ingest

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Nothing is to be saved: offsets are committed with each tick."""

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Without an offset a group that never committed would end its consumer."""
        self.ingest.reader.pause(*assigned)
        for place in assigned:
            self.ingest.reader.seek(place, 0)
        self.ingest.given = True


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
            bootstrap, group=self.group, session_timeout_ms=6_000, heartbeat_interval_ms=1_000
        )
        self.owned: dict[TopicPartition, Partition] = {}
        # (our clock, the broker's append time): an acknowledgement's moment, to compare with a fetch's.
        self._acks: deque[tuple[float, int]] = deque(maxlen=64)
        self._ticked = self._idle_ticked = 0.0
        self._unticked: dict[TopicPartition, None] = {}
        self.epochs = Epochs(bootstrap, topics)
        self.stopped: dict[TopicPartition, str] = {}
        self._looked = 0.0
        self.given = False  # the group has assigned partitions that no round has taken yet

    async def run(self, stop: asyncio.Event) -> None:
        """Do rounds until stopped; an error ends the run, and the next one begins at the committed offsets."""
        await self.writer.start()
        await self.reader.start()
        self.reader.subscribe(list(self.by_topic), listener=_Standing(self))
        following = asyncio.create_task(self.epochs.run(), name="epochs")
        try:
            while not stop.is_set():
                await self._round()
                if following.done():
                    following.result()
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await self.reader.stop()
            await self.writer.stop()

    async def _round(self) -> None:
        """Fetch, map, write, await, commit."""
        if self.given or self._may_go_on() or self._begun_anew():
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
        ticks = [one for place in dict.fromkeys([*busy, *idle]) for one in self._ticks(self.owned[place])]
        metrics.DEAD.labels("intake").inc(len(letters))
        await self.writer.bury(letters)
        await self.writer.flush()
        self._acks.append((time.time(), self.writer.appended_at))
        for clock, partition, tick in ticks:
            clock.acknowledged(partition, tick)
        pause_at("written", self.group)
        await self._commit(busy)

    async def _commit(self, places: list[TopicPartition]) -> None:
        """Commit offsets; before a partition's first ever, what it began with, which outlives the group's offsets."""
        owned = self.reader.assignment()
        begun = [one for one in (self.owned[place] for place in places) if not one.first_noted]
        if begun:
            pairs = [(first_key(one.source.name, one.partition), _encode(one.footprint)) for one in begun]
            await put(self.bootstrap, self.topics, pairs)
            for one in begun:
                one.first_noted = True
        offsets = {
            place: OffsetAndMetadata(self.owned[place].committable, _encode(self.owned[place].footprint).decode())
            for place in places
            if place in owned
        }
        if offsets:
            await self.reader.commit(offsets)

    def _may_go_on(self) -> bool:
        """Say whether it is time to look whether an operator has let a stopped source go on."""
        return bool(self.stopped) and time.monotonic() - self._looked > STOPPED_S

    def _begun_anew(self) -> bool:
        """Let go of the partitions of which an operator has begun a new epoch, and say whether there are any."""
        found = [
            place
            for place, one in self.owned.items()
            if self.epochs.of(one.source.name, one.partition) > one.footprint.epoch
        ]
        for place in found:
            self.reader.pause(place)
            del self.owned[place]
            self._unticked.pop(place, None)
        return bool(found)

    async def _own(self) -> None:
        """Take what the group gave: start where it is committed, else at the beginning; let the source join.

        A partition that is not the one that was read is left alone: its source does not tick, and the watermark waits.
        """
        places = self.reader.assignment()
        if self.given:
            # Every partition is given anew: what was kept of it is of the assignment before.
            self.given, self.owned, self._unticked = False, {}, {}
        self.stopped = {place: why for place, why in self.stopped.items() if place in places}
        self._looked = time.monotonic()
        new = sorted(places - set(self.owned))
        begins = await self.reader.beginning_offsets(new) if new else {}
        held = await committed(self.bootstrap, self.group) if new else {}
        said = await read_plans(self.bootstrap, self.topics) if new else {}
        for place in new:
            await self._take(place, begins[place], held.get(place), said)
        await self.writer.flush()
        self._acks.append((time.time(), self.writer.appended_at))

    async def _take(
        self, place: TopicPartition, begin: int, held: OffsetAndMetadata | None, said: dict[bytes, bytes]
    ) -> None:
        source, partition = self.by_topic[place.topic], place.partition
        epoch = int(said.get(epoch_key(source.name, partition), b"0"))
        noted = said.get(first_key(source.name, partition))
        began = footprint_of(noted.decode()) if noted else None
        known = footprint_of(held.metadata) if held is not None else began
        begun = began is not None and began.epoch == epoch
        if (held is not None and (known is None or known.epoch == epoch)) or (held is None and begun):
            why = await differs(self.bootstrap, place, -1 if held is None else held.offset, known)
            if why is not None:
                self._stop_source(place, source, why)
                return
        goes_on = held is not None and known is not None and known.epoch == epoch
        if self.stopped.pop(place, None) is not None:
            metrics.STOPPED.labels(f"{source.name}/{partition}").set(0)
        first = max(held.offset, begin) if held is not None and goes_on else begin
        footprint = known if goes_on and known is not None else Footprint(epoch=epoch)
        mapper = None if source.spec is None else source.mapper()
        self.reader.seek(place, first)
        self.reader.resume(place)
        clock = SourceClock(
            source.name,
            partition,
            partitions=self.writer.partitions,
            start=first,
            epoch=footprint.epoch,
            delay_ms=source.delay_ms,
        )
        self.owned[place] = Partition(source, partition, mapper, clock, footprint, begun)
        self.writer.add_to_all(_joining(source, partition, epoch, begin))

    def _stop_source(self, place: TopicPartition, source: Source, why: str) -> None:
        if place not in self.stopped:
            metrics.STOPPED.labels(f"{source.name}/{place.partition}").set(1)
            what = f"parcours source reset {source.name} --partition {place.partition}"
            log.error("source stopped", source=source.name, partition=place.partition, cause=why, to_go_on=what)
        self.stopped[place] = why

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
                owned.clock.gave(partition)
            owned.clock.read(record.offset, record.timestamp)
        last, epoch = records[-1], owned.footprint.epoch
        owned.footprint = Footprint(epoch=epoch, offset=last.offset, print=fingerprint(last))
        return letters

    def _events(self, owned: Partition, record: ConsumerRecord) -> list[Event | DeadLetter]:
        if owned.mapper is not None:
            return owned.mapper.feed(record_of(owned.source, record, owned.footprint.epoch))
        position = Position(owned.source.name, record.partition, owned.footprint.epoch, record.offset)
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
        # The group may have taken a partition away while the round was fetching: nothing is known of it any more.
        owned = self.reader.assignment()
        known = [(place, one) for place, one in self.owned.items() if place in owned and not one.source.feedback]
        return [place for place, one in known if self._idles(place, one)]

    def _idles(self, place: TopicPartition, one: Partition) -> bool:
        end, stable = self.reader.highwater(place), self.reader.last_stable_offset(place)
        if place in self._unticked or end is None or stable is None:
            return False
        position, sent = self._read_to(place), self._fetched_after(place)
        return one.clock.idle(FetchEnd(position=position, last_stable=stable, high_watermark=end, sent_ms=sent))

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

    def _ticks(self, one: Partition) -> list[tuple[SourceClock, int, Tick]]:
        """Put a source partition's ticks into every journal partition, behind its events."""
        if one.source.feedback:
            return []
        found = []
        for partition in range(self.writer.partitions):
            tick = one.clock.tick(partition, self.writer.appended_at or None, one.group)
            if tick is not None:
                self.writer.bundler.put(tick, partition, 0)
                found.append((one.clock, partition, tick))
        return found


def _joining(source: Source, partition: int, epoch: int, first: int) -> SourceChanged:
    """Return the control record with which a source partition begins: it joins, or begins a new epoch."""
    change = "reset" if epoch else "join"
    name = f"{change} {source.name}/{partition}" + (f"/{epoch}" if epoch else "")
    return SourceChanged(
        id=name,
        change=change,
        source=source.name,
        partition=partition,
        epoch=epoch,
        first=first,
        feedback=source.feedback,
    )
