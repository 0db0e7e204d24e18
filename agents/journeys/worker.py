"""`parcours worker journeys`: runs the Faust application and its pump until stopped."""

import asyncio
import gc
import os
from collections.abc import Callable
from pathlib import Path

import structlog

from agents.journeys.app import App, build
from agents.kafka.control import journal_partitions
from models.topics import Topics

STOP_S = 5.0
log = structlog.get_logger()


async def run(
    *,
    bootstrap: str,
    topics: Topics,
    data: Path,
    instance: str,
    stop: asyncio.Event,
    announce: Callable[[Callable[[], bool]], None] = lambda _: None,
) -> None:
    """Run until stopped."""
    partitions = await journal_partitions(bootstrap, topics)
    # States live and die within a batch: collecting them each time costs 3 us an event.
    gc.set_threshold(50_000, 20, 100)
    gc.freeze()
    app, pump = build(bootstrap, topics, data, instance, partitions)
    await app.add_runtime_dependency(pump)
    await app.start()
    announce(pump.ready)
    try:
        crashed = asyncio.create_task(app.wait_for_stopped())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({crashed, stopped}, return_when=asyncio.FIRST_COMPLETED)
        for task in (crashed, stopped):
            task.cancel()
    finally:
        await _stopped(app)


async def _stopped(app: App) -> None:
    """Stop in good order; a client that hangs in a rebalance is not waited for.

    What it leaves open is the successor's to end.
    """
    try:
        await asyncio.wait_for(app.stop(), STOP_S)
    except TimeoutError:
        log.warning("stopped without waiting", after_s=STOP_S)
        os._exit(0)
