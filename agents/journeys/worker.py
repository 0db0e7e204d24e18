"""`parcours worker journeys`: runs the Faust application and its pump until stopped."""

import asyncio
import gc
from pathlib import Path

from agents.journeys.app import build
from agents.kafka.control import journal_partitions
from models.topics import Topics


async def run(*, bootstrap: str, topics: Topics, data: Path, instance: str, stop: asyncio.Event) -> None:
    """Run until stopped."""
    partitions = await journal_partitions(bootstrap, topics)
    # States live and die within a batch: collecting them each time costs 3 us an event.
    gc.set_threshold(50_000, 20, 100)
    gc.freeze()
    app, pump = build(bootstrap, topics, data, instance, partitions)
    await app.add_runtime_dependency(pump)
    await app.start()
    try:
        crashed = asyncio.create_task(app.wait_for_stopped())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({crashed, stopped}, return_when=asyncio.FIRST_COMPLETED)
        for task in (crashed, stopped):
            task.cancel()
    finally:
        await app.stop()
