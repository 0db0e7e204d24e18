"""One partition of `delivery` on Kafka, as a sender lane sees it.

Receipts and progress are written in one transaction of the partition's own producer, whose start fences every earlier
owner. Progress lies in the compacted topic `sender-progress`, in the partition with `delivery`'s number, keyed by
channel: a group's offset has no room for what waits above it. Everything is read by consumers of its own, committed
records only.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import ProducerFenced

from agents import metrics
from agents.kafka import clients
from agents.kafka.tables import read_to_end
from models.command import Cancel, Command, DeliveryRecord
from models.receipt import Receipt
from models.topics import Topics
from pipeline.errors import RunError
from pipeline.sending import suppressions
from pipeline.sending.progress import SenderProgress, decode_progress, encode_progress
from pipeline.sending.protocol import Delivered, FencedError
from pipeline.sending.suppressions import Suppression

# A cancel is written after its command or with it: an hour covers what the clocks of their writers may differ by.
CANCELS_BEFORE_MS = 3_600_000
# The last progress record of a channel is mostly among the last records of its partition.
PROGRESS_NEAR = 500
PEEK_MS = 200
_delivery = msgspec.json.Decoder(DeliveryRecord)
_cancel = msgspec.json.Decoder(Cancel)
Read = TypeVar("Read")
log = structlog.get_logger()
_encode = msgspec.json.Encoder().encode


def readable(decoder: msgspec.json.Decoder[Read], record: ConsumerRecord) -> Read | None:
    """Return what a record says; one that says nothing stops nobody: it is counted, named and passed over."""
    try:
        return decoder.decode(record.value or b"")
    except msgspec.DecodeError as error:
        metrics.SENDER_UNREADABLE.labels(record.topic).inc()
        place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
        log.error("a record is passed over", **place, cause=str(error)[:200])
        return None


def delivered(record: ConsumerRecord) -> Delivered:
    """Return a record of `delivery`."""
    return Delivered(record.offset, readable(_delivery, record))


class KafkaDeliveryLog:
    """A `pipeline.sending.protocol.DeliveryLog`; `need_plan` is awaited for the plan of every command read."""

    def __init__(
        self, bootstrap: str, topics: Topics, channel: str, partition: int, need_plan: Callable[[str], Awaitable[None]]
    ):
        self.topics = topics
        self.channel = channel
        self.partition = partition
        self._need_plan = need_plan
        self._delivery = TopicPartition(topics.delivery, partition)
        self._cancels = TopicPartition(topics.cancels, partition)
        name = f"{topics.prefix}sender-{channel}-{partition}"
        self._producer: AIOKafkaProducer = clients.producer(bootstrap, transactional_id=name)
        self._reader: AIOKafkaConsumer = clients.consumer(bootstrap)
        self._bootstrap = bootstrap
        self._rereader: AIOKafkaConsumer | None = None

    async def open(self) -> SenderProgress:
        """Fence the earlier owner, end its open transaction, and return the progress that it committed."""
        await self._producer.start()
        await self._reader.start()
        found = await self._last_progress()
        # The two are fetched by one consumer: what was read of them is taken separately.
        self._reader.assign([self._delivery, self._cancels])
        return found or SenderProgress(channel=self.channel, partition=self.partition)

    async def _last_progress(self) -> SenderProgress | None:
        place = TopicPartition(self.topics.sender_progress, self.partition)
        begin = (await self._reader.beginning_offsets([place]))[place]
        end = (await self._reader.end_offsets([place]))[place]
        near = max(begin, end - PROGRESS_NEAR)
        return await self._progress_from(place, near) or (
            await self._progress_from(place, begin) if near > begin else None
        )

    async def _progress_from(self, place: TopicPartition, start: int) -> SenderProgress | None:
        found = None
        async for record in read_to_end(self._reader, {place: start}):
            if record.key == self.channel.encode() and record.value is not None:
                found = record.value
        return None if found is None else decode_progress(found)

    async def seek(self, offset: int) -> None:
        """Read `delivery` from an offset on, and `cancels` from an hour before the record that stands there."""
        begin = (await self._reader.beginning_offsets([self._delivery]))[self._delivery]
        end = (await self._reader.end_offsets([self._delivery]))[self._delivery]
        if offset > end:
            raise RunError(
                f"{self._delivery.topic}-{self.partition} ends at {end}, the sender has read up to {offset}: the topic "
                f"was made anew; delete the records of {self.topics.sender_progress} to begin with it"
            )
        start = max(offset, begin)
        stopped_begin = (await self._reader.beginning_offsets([self._cancels]))[self._cancels]
        self._reader.seek(self._delivery, start)
        self._reader.seek(self._cancels, stopped_begin)
        since = await self._time_at(start, end) - CANCELS_BEFORE_MS
        found = (await self._reader.offsets_for_times({self._cancels: since})).get(self._cancels)
        if found is not None:
            self._reader.seek(self._cancels, max(found.offset, stopped_begin))
        self._reader.seek(self._delivery, start)

    async def _time_at(self, start: int, end: int) -> int:
        """Return the Kafka time of the first committed record from an offset on (UTC ms), now where there is none."""
        while await self._reader.position(self._delivery) < end:
            found = await self._reader.getmany(self._delivery, timeout_ms=PEEK_MS, max_records=1)
            for record in found.get(self._delivery, []):
                return int(record.timestamp)
        return time.time_ns() // 1_000_000

    async def read(self, limit: int, wait_ms: int) -> list[Delivered]:
        """Return the next committed records of `delivery`: fewer than `limit` only where the last fetch saw its end."""
        found: list[Delivered] = []
        while len(found) < limit:
            fetched = await self._reader.getmany(self._delivery, timeout_ms=wait_ms, max_records=limit - len(found))
            for record in fetched.get(self._delivery, []):
                found.append(delivered(record))
            stable = self._reader.last_stable_offset(self._delivery)
            if stable is not None and await self._reader.position(self._delivery) >= stable:
                break
            wait_ms = PEEK_MS
        return await self._with_plans(found)

    async def _with_plans(self, found: list[Delivered]) -> list[Delivered]:
        for plan in dict.fromkeys(one.record.plan for one in found if isinstance(one.record, Command)):
            await self._need_plan(plan)
        return found

    async def again(self, offset: int, limit: int) -> list[Delivered]:
        """Return records of `delivery` that were read before, by a consumer of their own."""
        if self._rereader is None:
            self._rereader = clients.consumer(self._bootstrap)
            await self._rereader.start()
            self._rereader.assign([self._delivery])
        reader, place = self._rereader, self._delivery
        begin, end = (await reader.beginning_offsets([place]))[place], (await reader.end_offsets([place]))[place]
        reader.seek(place, max(offset, begin))
        while await reader.position(place) < end:
            fetched = await reader.getmany(place, timeout_ms=PEEK_MS, max_records=limit)
            records = fetched.get(place, [])
            if records:
                return await self._with_plans([delivered(one) for one in records])
        return []

    async def cancels(self) -> list[Cancel]:
        """Return the cancels not returned before, to the end that the topic has now."""
        end = (await self._reader.end_offsets([self._cancels]))[self._cancels]
        found: list[Cancel] = []
        while await self._reader.position(self._cancels) < end:
            fetched = await self._reader.getmany(self._cancels, timeout_ms=PEEK_MS)
            read = [readable(_cancel, record) for record in fetched.get(self._cancels, [])]
            found += [one for one in read if one is not None]
        return found

    async def commit(
        self, receipts: list[Receipt], progress: SenderProgress, facts: Sequence[Suppression] = ()
    ) -> None:
        """Write receipts, progress and facts in one transaction; every send is awaited before the commit."""
        producer = self._producer
        try:
            await producer.begin_transaction()
            sends = [
                await producer.send(
                    self.topics.receipts, _encode(one), key=one.customer.encode(), partition=self.partition
                )
                for one in receipts
            ]
            sends.append(
                await producer.send(
                    self.topics.sender_progress,
                    encode_progress(progress),
                    key=self.channel.encode(),
                    partition=self.partition,
                )
            )
            for row in facts:
                said = {"key": row.key.encode(), "partition": 0}
                sends.append(await producer.send(self.topics.suppressions, suppressions.encode(row), **said))
            # A batch that the broker refuses does not fail the commit: only its own future says so.
            await asyncio.gather(*sends)
            await producer.commit_transaction()
        except ProducerFenced:
            raise FencedError(f"another sender owns {self._delivery.topic}-{self.partition}") from None

    async def close(self) -> None:
        """Let go of the producer, in whatever state it is, and of the consumer."""
        await clients.drop(self._producer)
        await self._reader.stop()
        if self._rereader is not None:
            await self._rereader.stop()
