"""Erasure on a cluster: the request as a record of `collected`, and what the topics still hold of a customer."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
from aiokafka import ConsumerRecord, TopicPartition

from agents.kafka import clients
from agents.kafka.control import journal_partitions
from agents.kafka.reading import KafkaReader
from agents.kafka.tables import partition_count, read_to_end
from agents.kafka.topics import retention_ms
from models.identity import ERASURE
from models.ids import partition_of
from models.topics import Topics
from pipeline.errors import UsageError
from pipeline.runtime.left_behind import Report, names, unsent
from pipeline.store.codec import cold_key, hot_key

# Those whose records are kept for a time; a customer's stand in the partition of their id.
KEPT = (
    "journal", "delivery", "cancels", "decisions", "receipts", "forwards", "collected", "vouchers", "memberships",
    "inbox",
)  # fmt: skip


async def ask(bootstrap: str, topics: Topics, customer: str, name: str, at: int) -> None:
    """Write the request for ingest to read, as it reads what the collector heard; acknowledged when it returns."""
    count = await partition_count(bootstrap, topics.collected)
    if not count:
        raise UsageError(f"the topic {topics.collected} does not exist: run `parcours topics apply` first")
    said = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")
    record = {"type": ERASURE, "id": name, "customer": customer, "occurred_at": said}
    sender = clients.producer(bootstrap)
    await sender.start()
    try:
        place = partition_of(customer, count)
        value = msgspec.json.encode(record)
        await sender.send_and_wait(topics.collected, value, key=customer.encode(), partition=place)
    finally:
        await sender.stop()


@dataclass
class Found:
    """A topic's records that name a customer, and when the newest was written (UTC ms)."""

    values: list[bytes] = field(default_factory=list)
    newest: int = 0

    def add(self, record: ConsumerRecord) -> None:
        """Take a record."""
        self.values.append(record.value)
        self.newest = max(self.newest, record.timestamp)


def left_on_cluster(bootstrap: str, topics: Topics, who: str) -> Report:
    """Return what a cluster's topics hold of a customer; the store's own topics are the store's to clear."""
    report = Report()
    states = KafkaReader(bootstrap, topics).states()
    report.add("state", sum(1 for one in states if names(one, who)))
    asyncio.run(_topics(bootstrap, topics, who, report))
    return report


async def _topics(bootstrap: str, topics: Topics, who: str, report: Report) -> None:
    partition = partition_of(who, await journal_partitions(bootstrap, topics))
    kept = {name: await _naming(bootstrap, topics.name(name), partition, who) for name in KEPT}
    commands = [one["id"] for one in map(msgspec.json.decode, kept["delivery"].values) if one["kind"] == "command"]
    receipts = [msgspec.json.decode(one) for one in kept["receipts"].values]
    cancels = [msgspec.json.decode(one)["command"] for one in kept["cancels"].values]
    report.add("unsent commands", unsent(commands, receipts, cancels))
    kept["dead-letters"] = await _naming(bootstrap, topics.dead_letters, 0, who)
    retention = await retention_ms(bootstrap, [topics.name(name) for name in kept])
    for name, found in kept.items():
        topic = topics.name(name)
        report.add(f"records of {topic}", len(found.values), _until(found.newest, retention.get(topic, -1)))
    old = await _old_states(bootstrap, topics, partition, who)
    report.add(
        f"earlier states in {topics.changelog}",
        old,
        "the topic is compacted; workers' checkpoints: 30 newer ones, one a day",
    )


def _until(newest: int, retention_ms: int) -> str:
    if retention_ms < 0:
        return "somebody deletes the topic's records: it keeps them for ever"
    return f"{datetime.fromtimestamp((newest + retention_ms) / 1000, UTC).isoformat(timespec='seconds')} (retention)"


async def _records(bootstrap: str, topic: str, partition: int) -> AsyncIterator[ConsumerRecord]:
    if not await partition_count(bootstrap, topic):
        return
    reader, place = clients.consumer(bootstrap), TopicPartition(topic, partition)
    await reader.start()
    try:
        async for record in read_to_end(reader, await reader.beginning_offsets([place])):
            yield record
    finally:
        await reader.stop()


async def _naming(bootstrap: str, topic: str, partition: int, who: str) -> Found:
    """Return the records that name a customer as a whole value, or are theirs by their key."""
    found, key, written = Found(), who.encode(), msgspec.json.encode(who)
    async for record in _records(bootstrap, topic, partition):
        if record.value is not None and (record.key == key or written in record.value):
            found.add(record)
    return found


async def _old_states(bootstrap: str, topics: Topics, partition: int, who: str) -> int:
    keys, found = {hot_key(who), cold_key(who)}, 0
    async for record in _records(bootstrap, topics.changelog, partition):
        found += record.key in keys and record.value is not None
    return found
