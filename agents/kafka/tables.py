"""Reads a topic to its end: plans, changelogs, and what the command line lists."""

from collections.abc import AsyncIterator, Iterable

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from agents.kafka import clients


async def read_to_end(reader: AIOKafkaConsumer, start: dict[TopicPartition, int]) -> AsyncIterator[ConsumerRecord]:
    """Yield the records of assigned partitions from given offsets to the ends taken now (read_committed)."""
    reader.assign(list(start))
    ends = await reader.end_offsets(list(start))
    for place, offset in start.items():
        reader.seek(place, offset)
    open_ = {place for place, end in ends.items() if end > start[place]}
    while open_:
        fetched = await reader.getmany(*open_, timeout_ms=200, max_records=5_000)
        for place, records in fetched.items():
            for record in records:
                if record.offset < ends[place]:
                    yield record
        for place in list(open_):
            # The position passes control records and aborted ones too.
            if await reader.position(place) >= ends[place]:
                open_.discard(place)


async def whole_topic(bootstrap: str, topics: Iterable[str]) -> AsyncIterator[ConsumerRecord]:
    """Yield every committed record that some topics hold now, partition by partition."""
    for topic in topics:
        reader = clients.consumer(bootstrap)
        await reader.start()
        try:
            await reader._client.force_metadata_update()
            partitions = await _partitions(reader, topic)
            places = [TopicPartition(topic, partition) for partition in partitions]
            begins = await reader.beginning_offsets(places) if places else {}
            for place in places:
                async for record in read_to_end(reader, {place: begins[place]}):
                    yield record
        finally:
            await reader.stop()


async def _partitions(reader: AIOKafkaConsumer, topic: str) -> list[int]:
    metadata = await reader._client.fetch_all_metadata()
    return sorted(metadata.partitions_for_topic(topic) or ())


async def partition_count(bootstrap: str, topic: str) -> int:
    """Return a topic's partition count, 0 where it does not exist."""
    reader = clients.consumer(bootstrap)
    await reader.start()
    try:
        return len(await _partitions(reader, topic))
    finally:
        await reader.stop()
