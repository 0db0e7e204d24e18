"""Follows partitions from their first record on: what an operator says in the compacted topic, for example."""

import asyncio
from collections.abc import Callable, Sequence

from aiokafka import ConsumerRecord, TopicPartition

from agents.kafka import clients

POLL_MS = 500


async def follow(
    bootstrap: str,
    places: Sequence[TopicPartition],
    take: Callable[[ConsumerRecord], None],
    known: asyncio.Event | None = None,
) -> None:
    """Hand over every committed record until cancelled; `known` is set when all that stood there was read."""
    reader = clients.consumer(bootstrap)
    await reader.start()
    try:
        reader.assign(places)
        left = await reader.end_offsets(places)
        for place, begin in (await reader.beginning_offsets(places)).items():
            reader.seek(place, begin)
        while True:
            left = {place: end for place, end in left.items() if await reader.position(place) < end}
            if known is not None and not left:
                known.set()
            for records in (await reader.getmany(*places, timeout_ms=POLL_MS)).values():
                for record in records:
                    take(record)
    finally:
        await reader.stop()
