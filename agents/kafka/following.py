"""Follows a partition from its first record on: what an operator says in the compacted topic, for example."""

import asyncio
from collections.abc import Callable

from aiokafka import ConsumerRecord, TopicPartition

from agents.kafka import clients

POLL_MS = 500


async def follow(
    bootstrap: str, place: TopicPartition, take: Callable[[ConsumerRecord], None], known: asyncio.Event | None = None
) -> None:
    """Hand over every committed record until cancelled; `known` is set when all that stood there was read."""
    reader = clients.consumer(bootstrap)
    await reader.start()
    try:
        reader.assign([place])
        end = (await reader.end_offsets([place]))[place]
        reader.seek(place, (await reader.beginning_offsets([place]))[place])
        while True:
            if known is not None and await reader.position(place) >= end:
                known.set()
            for record in (await reader.getmany(place, timeout_ms=POLL_MS)).get(place, []):
                take(record)
    finally:
        await reader.stop()
