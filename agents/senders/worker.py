"""The sender on Kafka: one fenced transactional producer for each partition of `delivery`.

A round: read `delivery` and `cancels` to their ends; check up to 100 commands; commit their intents with the ends
that are known (receipts and the group's offset in one transaction); call, within 5 s of the check; commit the
outcomes. A frozen sender that thaws finds itself fenced at the commit of the intents, before it calls.

Progress is the group's offset on `delivery`: the lowest command without an end. Its metadata names the offsets above
it that have ended, and those with an open intent; both are committed in the same transaction as the receipts.
"""

import asyncio
import time
from dataclasses import dataclass, field

import msgspec
import structlog
from aiokafka import (
    AIOKafkaConsumer,
    AIOKafkaProducer,
    ConsumerRebalanceListener,
    OffsetAndMetadata,
    TopicPartition,
)
from aiokafka.errors import KafkaError, ProducerFenced

from agents import metrics
from agents.kafka import clients
from agents.kafka.control import read_plans
from models.command import Cancel, Command, DeliveryRecord, Mark
from models.receipt import FINAL, Receipt
from models.topics import Topics
from pipeline.errors import RunError
from pipeline.scenario.sources import PlanSources
from pipeline.sending.outcome import Provider
from pipeline.sending.render import Renderer
from pipeline.sending.stage import ROUND_MAX, Queued, Ready, SenderStage

IDLE_S = 0.1
REOPEN_S = 1.0
_delivery = msgspec.json.Decoder(DeliveryRecord)
_cancel = msgspec.json.Decoder(Cancel)
_encode = msgspec.json.Encoder().encode
log = structlog.get_logger()


class Metadata(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What stands beside the committed offset: ended offsets above it, and offsets with an open intent."""

    done: list[int] = []
    open: list[int] = []


@dataclass
class Renderers:
    """Renderers by plan hash; an unknown plan is looked up once more."""

    bootstrap: str
    topics: Topics
    sources: dict[str, PlanSources] = field(default_factory=dict)
    made: dict[str, Renderer] = field(default_factory=dict)

    async def refresh(self) -> None:
        """Read the stored plans."""
        for key, value in (await read_plans(self.bootstrap, self.topics)).items():
            if len(key) == 32:
                self.sources.setdefault(key.decode(), PlanSources.decode(value))

    def get(self, name: str) -> Renderer:
        """Return the renderer of a plan."""
        if name not in self.made:
            if name not in self.sources:
                raise RunError(f"the plan {name} is not stored")
            self.made[name] = Renderer(self.sources[name])
        return self.made[name]


class SenderPartition:
    """One partition of `delivery`, from its fence to its end."""

    def __init__(self, bootstrap: str, topics: Topics, partition: int, stage: SenderStage, renderers: Renderers):
        self.bootstrap = bootstrap
        self.topics = topics
        self.partition = partition
        self.stage = stage
        self.renderers = renderers
        self.place = TopicPartition(topics.delivery, partition)
        self.group = f"{topics.prefix}sender-{stage.channel}"
        self.queue: dict[int, Queued] = {}
        self.done: set[int] = set()
        self.open: set[int] = set()
        self.next = 0
        self.cancels: dict[str, int] = {}
        self.mark: Mark | None = None

    async def live(self) -> None:
        """Open, work, and open again after any error, until cancelled."""
        while True:
            try:
                await self._once()
            except ProducerFenced:
                log.info("sender fenced", partition=self.partition)
            except (KafkaError, OSError) as error:
                log.warning("sender opens again", partition=self.partition, cause=repr(error)[:200])
            await asyncio.sleep(REOPEN_S)

    async def _once(self) -> None:
        name = f"{self.group}-{self.partition}"
        producer = clients.producer(self.bootstrap, transactional_id=name)
        reader = clients.consumer(self.bootstrap)
        cancels = clients.consumer(self.bootstrap)
        try:
            await producer.start()
            await reader.start()
            await cancels.start()
            await self._restore(reader, cancels, producer)
            while True:
                if not await self._round(reader, cancels, producer):
                    await asyncio.sleep(IDLE_S)
        finally:
            await clients.drop(producer)
            await reader.stop()
            await cancels.stop()

    async def _restore(self, reader: AIOKafkaConsumer, cancels: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        """Take up the committed progress; an intent without an outcome is sent again or reported."""
        self.queue, self.cancels, self.mark = {}, {}, None
        committed = await _committed(self.bootstrap, self.group, self.place)
        said = msgspec.json.decode(committed.metadata or b"{}", type=Metadata) if committed else Metadata()
        begin = (await reader.beginning_offsets([self.place]))[self.place]
        self.next = max(committed.offset, begin) if committed else begin
        self.done, self.open = set(said.done), set(said.open)
        reader.assign([self.place])
        reader.seek(self.place, self.next)
        stopped = TopicPartition(self.topics.cancels, self.partition)
        start = (await cancels.beginning_offsets([stopped]))[stopped]
        cancels.assign([stopped])
        cancels.seek(stopped, start)
        if self.open:
            await self._read(reader, cancels)
            now = _now_ms()
            after = [self.stage.after_crash(self.queue[one], now) for one in sorted(self.open) if one in self.queue]
            self.open = set()
            await self._commit(producer, [one for one in after if one is not None])

    async def _read(self, reader: AIOKafkaConsumer, cancels: AIOKafkaConsumer) -> None:
        """Read `delivery` first (with the mark), then `cancels`, both to their ends."""
        for record in await _drain(reader, self.place, ROUND_MAX * 20, bounded=len(self.queue) > ROUND_MAX * 50):
            said = _delivery.decode(record.value)
            if isinstance(said, Mark):
                self.mark = said
            elif isinstance(said, Command):
                if said.channel != self.stage.channel or record.offset in self.done:
                    self.done.add(record.offset)
                else:
                    self.queue[record.offset] = Queued(said, record.offset)
                continue
            self.done.add(record.offset)
        stopped = TopicPartition(self.topics.cancels, self.partition)
        for record in await _drain(cancels, stopped, 10_000, bounded=False):
            cancel = _cancel.decode(record.value)
            self.cancels.setdefault(cancel.command, cancel.at)

    async def _round(self, reader: AIOKafkaConsumer, cancels: AIOKafkaConsumer, producer: AIOKafkaProducer) -> bool:
        """One round; False when there was nothing to do."""
        await self._read(reader, cancels)
        unknown = {one.command.plan for one in self.queue.values()} - set(self.renderers.sources)
        if unknown:
            await self.renderers.refresh()
        receipts, ready = self._check()
        if not receipts and not ready:
            if self.next != self._lowest():
                await self._commit(producer, [])
            return False
        intents = [self.stage.receipt(one.queued, "intent", one.checked_at) for one in ready]
        self.open = {one.queued.offset for one in ready}
        await self._commit(producer, [*receipts, *intents])
        outcomes = [await self.stage.call(one, self._now(one.queued)) for one in ready]
        self.open = set()
        await self._commit(producer, outcomes)
        return True

    def _now(self, queued: Queued) -> int:
        """Return the clock: the wall's, or under the records clock the log's own at that command."""
        if self.mark is not None and self.mark.records_clock:
            return queued.command.emitted_at
        return _now_ms()

    def _check(self) -> tuple[list[Receipt], list[Ready]]:
        receipts: list[Receipt] = []
        ready: list[Ready] = []
        held = 0
        for offset in sorted(self.queue):
            queued = self.queue[offset]
            if len(ready) >= ROUND_MAX:
                break
            now = self._now(queued)
            behind = 0 if self.mark and self.mark.records_clock else now - (self.mark.applied_until if self.mark else 0)
            found = self.stage.check(queued, now, self.cancels, behind)
            if isinstance(found, Receipt):
                receipts.append(found)
            elif found is not None:
                ready.append(found)
            else:
                held += 1
                if not queued.held and queued.not_before <= now:
                    queued.held = True
                    receipts.append(self.stage.receipt(queued, "held", now, "the engine is catching up"))
        metrics.HELD.labels(self.stage.channel).set(held)
        return receipts, ready

    def _lowest(self) -> int:
        """Return the lowest offset without an end: everything below it is done."""
        if self.queue:
            return min(self.queue)
        return max(self.done, default=self.next - 1) + 1

    async def _commit(self, producer: AIOKafkaProducer, receipts: list[Receipt]) -> None:
        """Commit receipts and progress in one transaction; every send is awaited before the commit."""
        for receipt in receipts:
            if receipt.state in FINAL:
                self.queue.pop(receipt.delivery_offset, None)
                self.done.add(receipt.delivery_offset)
        lowest = self._lowest()
        self.done = {one for one in self.done if one >= lowest}
        metadata = _encode(Metadata(done=sorted(self.done), open=sorted(self.open))).decode()
        await producer.begin_transaction()
        sends = [
            await producer.send(self.topics.receipts, _encode(one), key=one.customer.encode(), partition=self.partition)
            for one in receipts
        ]
        await asyncio.gather(*sends)
        await producer.send_offsets_to_transaction({self.place: OffsetAndMetadata(lowest, metadata)}, self.group)
        await producer.commit_transaction()
        self.next = lowest
        for one in receipts:
            metrics.RECEIPTS.labels(one.channel, one.state).inc()


async def _drain(reader: AIOKafkaConsumer, place: TopicPartition, most: int, *, bounded: bool) -> list[object]:
    """Return the records up to the end that the partition has now; none while the queue is long."""
    if bounded:
        return []
    end = (await reader.end_offsets([place]))[place]
    found: list[object] = []
    while await reader.position(place) < end and len(found) < most:
        fetched = await reader.getmany(place, timeout_ms=200, max_records=1_000)
        found += fetched.get(place, [])
    return found


async def _committed(bootstrap: str, group: str, place: TopicPartition) -> OffsetAndMetadata | None:
    from aiokafka.admin import AIOKafkaAdminClient

    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(group, partitions=[place])
    finally:
        await admin.close()
    committed = found.get(place)
    return committed if committed is not None and committed.offset >= 0 else None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class _Listener(ConsumerRebalanceListener):
    def __init__(self, start: object, stop: object):
        self._start, self._stop = start, stop

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Stop at once."""
        await self._stop(revoked)  # type: ignore[operator]

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Open in tasks of their own."""
        self._start(assigned)  # type: ignore[operator]


async def run(*, bootstrap: str, topics: Topics, channel: str, provider: Provider, stop: asyncio.Event) -> None:
    """Share the partitions of `delivery` with other senders of the channel until stopped."""
    renderers = Renderers(bootstrap, topics)
    stage = SenderStage(channel, provider, renderers.get)
    tasks: dict[int, asyncio.Task[None]] = {}

    def open_(places: set[TopicPartition]) -> None:
        members.pause(*places)
        for place in places:
            one = SenderPartition(bootstrap, topics, place.partition, stage, renderers)
            tasks[place.partition] = asyncio.create_task(one.live(), name=f"sender {place.partition}")

    async def close(places: set[TopicPartition]) -> None:
        leaving = [tasks.pop(place.partition) for place in places if place.partition in tasks]
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)

    # The group only shares the partitions out: each partition reads by a consumer of its own.
    members = clients.consumer(
        bootstrap,
        group=f"{topics.prefix}sender-{channel}-members",
        auto_offset_reset="latest",
        session_timeout_ms=6_000,
        heartbeat_interval_ms=1_000,
    )
    await members.start()
    members.subscribe([topics.delivery], listener=_Listener(open_, close))
    try:
        while not stop.is_set():
            await members.getmany(timeout_ms=500)
    finally:
        await close({TopicPartition(topics.delivery, one) for one in list(tasks)})
        await members.stop()
        await provider.close()
