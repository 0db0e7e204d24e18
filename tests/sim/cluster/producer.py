"""The producer of the simulated broker, in aiokafka's own shape: what the workers are given instead."""

import asyncio
from collections.abc import Iterable
from itertools import count
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError, ProducerFenced, RequestTimedOutError
from aiokafka.structs import RecordMetadata

from models.ids import chance
from tests.sim.cluster.broker import Broker, Transaction
from tests.sim.cluster.clock import here

_numbers = count(1)


async def _nothing() -> None:
    """Close what holds nothing."""


Row = tuple[bytes | None, bytes | None, int | None, list[Any]]  # value, key, timestamp, headers


class RecordBatch:
    """Records that go out together, as far as there is room."""

    def __init__(self, most: int):
        self.most = most
        self.rows: list[tuple[bytes | None, bytes | None, int | None]] = []

    def append(self, *, timestamp: int | None, key: bytes | None, value: bytes | None) -> Any:
        if len(self.rows) >= self.most:
            return None
        self.rows.append((key, value, timestamp))
        return self.rows[-1]

    def record_count(self) -> int:
        return len(self.rows)

    def close(self) -> None:
        """It is complete."""


class Producer:
    """A producer; with a transactional id it fences every earlier one of that id when it starts."""

    def __init__(self, broker: Broker, transactional_id: str | None):
        self.broker = broker
        self.process = here()
        self.id = transactional_id
        self.epoch = 0
        self.writer = ""
        self._sender = SimpleNamespace(sender_task=None, close=_nothing)
        self.client = SimpleNamespace(close=_nothing)

    def _lost(self) -> bool:
        return self.broker.dice.random() < self.broker.trouble

    def _check(self) -> None:
        if self.id is not None and self.broker.epochs[self.id] != self.epoch:
            self.broker.fenced += 1
            raise ProducerFenced

    async def start(self) -> None:
        await self.process.effect()
        if self._lost():
            raise KafkaTimeoutError
        if self.id is not None:
            self.epoch = self.broker.begin_epoch(self.id)
        await self.process.effect()

    async def stop(self) -> None:
        await self.process.effect()

    async def flush(self) -> None:
        await self.process.effect()

    async def begin_transaction(self) -> None:
        assert self.id is not None
        self._check()
        self.writer = self.id

    def create_batch(self) -> "RecordBatch":
        return RecordBatch(self.broker.dice.choice((1, 3, 100)))

    async def send_batch(
        self, batch: "RecordBatch", topic: str, *, partition: int
    ) -> "asyncio.Future[RecordMetadata]":  # fmt: skip
        """Write a batch as a whole; its future says where its first record lies."""
        return await self._send(topic, partition, [(value, key, at, []) for key, value, at in batch.rows])

    async def send(
        self, topic: str, value: bytes | None = None, key: bytes | None = None, partition: int | None = None,
        timestamp_ms: int | None = None, headers: Iterable[Any] | None = None,
    ) -> "asyncio.Future[RecordMetadata]":  # fmt: skip
        """Write a record; the future says what came of it, which may be the opposite of the truth."""
        number = partition
        if number is None:
            number = chance(self.broker.counts[topic], (key or value or b"").hex())
        return await self._send(topic, number, [(value, key, timestamp_ms, list(headers or ()))])

    async def _send(self, topic: str, number: int, rows: list[Row]) -> "asyncio.Future[RecordMetadata]":
        await self.process.effect()
        done: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        self._check()
        place = TopicPartition(topic, number)
        lost = self._lost()
        if lost and self.broker.dice.random() < 0.5:
            done.set_exception(KafkaTimeoutError())
            done.exception()
            return done
        if self.writer and self.writer not in self.broker.open:
            self.broker.open[self.writer] = Transaction(began=self.broker.clock.broker_ms())
        written = [self.broker.append(place, value, key, headers, at, self.writer) for value, key, at, headers in rows]
        if self.writer and self.broker.trap is not None:
            self.broker.trap(self.process, len(self.broker.open[self.writer].places))
        if lost:
            done.set_exception(KafkaTimeoutError())
            done.exception()
        else:
            first = written[0]
            done.set_result(RecordMetadata(topic, number, place, first.offset, first.timestamp, 0, 0))
        return done

    async def send_and_wait(self, topic: str, *args: Any, **more: Any) -> RecordMetadata:
        done = await (await self.send(topic, *args, **more))
        await self.process.effect()
        return done

    async def commit_transaction(self) -> None:
        """End the transaction; where the answer is lost it may have been committed, or not."""
        await self.process.effect()
        self._check()
        assert self.id is not None
        lost = self.broker.dice.random() < 3 * self.broker.trouble
        self.broker.unknown_commits += lost
        if not (lost and self.broker.dice.random() < 0.5):
            self.broker.end(self.id, commit=True)
        self.writer = ""
        await self.process.effect()
        if lost:
            raise RequestTimedOutError
