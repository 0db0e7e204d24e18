"""Puts what a batch holds into an open transaction: whole record batches, built here.

A record sent on its own costs a lock, a future and a look at the metadata: in batches the same records cost a third
(measured). The journal's changelog gets a record for each customer that changed, so that this is most of a commit.
"""

import asyncio
import time
from asyncio import Future
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer

from agents import metrics
from agents.ingest.dead_letters import message_of
from models.inbox_rows import ForgottenRow, encode_row, key_of
from models.topics import Topics
from pipeline.errors import RunError
from pipeline.runtime.batch import Batch
from pipeline.sending.suppressions import Suppression
from pipeline.sending.suppressions import encode as encode_suppression
from pipeline.store.rocks import RocksStore

_encode = msgspec.json.Encoder().encode
Row = tuple[bytes, bytes | None]


@dataclass(slots=True)
class Sent:
    """What was handed to the producer: everything to await; `last` is the future of the last record batch."""

    futures: list[Future[Any]] = field(default_factory=list)
    after_base: int = 0  # how far the last record of the last batch is behind that batch's first one

    async def offset(self) -> int:
        """Await all that was sent, and return the offset of the very last record."""
        done = await asyncio.gather(*self.futures)
        return int(done[-1].offset) + self.after_base


async def send(
    producer: AIOKafkaProducer,
    topics: Topics,
    partition: int,
    store: RocksStore,
    batch: Batch,
    suppressed: Iterable[Suppression] = (),
    forgotten: Iterable[ForgottenRow] = (),
) -> Sent:
    """Send commands, the mark, cancels, decisions, forwards, vouchers, dead letters, states, and last the progress.

    `suppressed` are the hashes of the addresses of who was forgotten, `forgotten` what empties their inboxes.
    """
    sent = Sent()
    for topic, records in (
        (topics.delivery, [*batch.commands, *([batch.mark] if batch.mark else [])]),
        (topics.cancels, batch.cancels),
        (topics.decisions, batch.decisions),
        (topics.forwards, batch.forwards),
        (topics.vouchers, batch.vouchers),
    ):
        rows = ((getattr(one, "customer", "").encode(), _encode(one)) for one in records)
        await _send_rows(producer, topic, partition, rows, sent)
    for row in suppressed:
        value = encode_suppression(row)
        sent.futures.append(await producer.send(topics.suppressions, value, key=row.key.encode(), partition=0))
    await _send_rows(producer, topics.inbox, partition, ((key_of(row), encode_row(row)) for row in forgotten), sent)
    for letter in batch.dead_letters:
        metrics.DEAD.labels("engine").inc()
        sent.futures.append(await producer.send(topics.dead_letters, **message_of(letter)))
    await _send_rows(producer, topics.changelog, partition, store.changes(batch), sent)
    return sent


async def _send_rows(producer: AIOKafkaProducer, topic: str, partition: int, rows: Iterable[Row], sent: Sent) -> None:
    """Send rows in as few record batches as they fit in."""
    now = time.time_ns() // 1_000_000
    builder = producer.create_batch()
    for key, value in rows:
        if builder.append(timestamp=now, key=key, value=value) is not None:
            continue
        await _send_built(producer, topic, partition, builder, sent)
        builder = producer.create_batch()
        if builder.append(timestamp=now, key=key, value=value) is None:
            raise RunError(f"a record of {topic} is larger than a batch may be")
    await _send_built(producer, topic, partition, builder, sent)


async def _send_built(producer: AIOKafkaProducer, topic: str, partition: int, builder: Any, sent: Sent) -> None:
    count = builder.record_count()
    if count:
        sent.futures.append(await producer.send_batch(builder, topic, partition=partition))
        sent.after_base = count - 1
