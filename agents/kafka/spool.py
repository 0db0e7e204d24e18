"""A cluster's log as a recorded one: its topics copied to a spool on disk, up to where they end now."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from agents.kafka import clients
from agents.kafka.control import LIVE, journal_partitions, read_plans
from agents.kafka.tables import read_to_end
from models.ids import partition_of
from models.topics import Topics
from pipeline.replay.errors import LogError
from pipeline.replay.recorded import SpoolWriter
from pipeline.scenario.sources import PlanSources
from pipeline.store.codec import COLD, HOT

STREAMS = ("journal", "delivery", "decisions", "cancels", "receipts")
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
        total = await _total(reader, starts)
        done = 0
        for place, start in starts.items():
            async for record in read_to_end(reader, {place: start}):
                _keep(writer, topics, record)
                done += 1
                if watch is not None and done % 1_000 == 0:
                    watch(done, total)
    finally:
        await reader.stop()
        writer.close()


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
    for name in (*(topics.name(stream) for stream in STREAMS), topics.changelog):
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


def _keep(writer: SpoolWriter, topics: Topics, record: ConsumerRecord) -> None:
    if record.topic == topics.changelog:
        if record.key[:1] in {HOT, COLD}:
            writer.state(record.key, record.value)
        return
    stream = record.topic.removeprefix(topics.prefix)
    appended_at = record.timestamp if stream == "journal" else None
    writer.put(stream, record.partition, record.offset, record.value, appended_at)
