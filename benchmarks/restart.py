"""How soon a journeys worker does its work again: from its store, and with the store lost, from the changelog."""

import asyncio
import shutil
import time

from aiokafka import TopicPartition

from agents.kafka import clients
from benchmarks.deployment import PARTITIONS, Deployment, end


def fill(run: Deployment, customers: int) -> float:
    """Make a state for every customer, through the whole pipeline; return the memory of journeys in MB."""
    run.generator(customers, customers, "--one-each").wait()
    workers = [run.ingest(), run.journeys()]
    run.caught_up("ingest", [f"bench-{one}" for one in run.names])
    run.caught_up("journeys", [run.topics.journal])
    memory: float = workers[1].memory_info().rss / 1e6
    for worker in workers:
        end(worker)
    return memory


async def _first_output(run: Deployment) -> float:
    """Return the seconds from a worker's start to a commit of every partition, seen by a committed reader."""
    reader = clients.consumer(run.bootstrap)
    await reader.start()
    places = [TopicPartition(run.topics.delivery, one) for one in range(PARTITIONS)]
    reader.assign(places)
    for place, upto in (await reader.end_offsets(places)).items():
        reader.seek(place, upto)
    worker, began = run.journeys(), time.monotonic()
    waiting = set(places)
    try:
        while waiting:
            waiting -= set(await reader.getmany(timeout_ms=20))
            if time.monotonic() - began > 300:
                raise TimeoutError(f"no output of {len(waiting)} partitions")
        return time.monotonic() - began
    finally:
        worker.kill()
        worker.wait()
        await reader.stop()


def restarts(run: Deployment, customers: int) -> dict[str, float]:
    """Return the seconds to first output after kill -9 with the store, and without it, and the store's size.

    Ingest goes on, so that there is something to put out: the marks of its ticks.
    """
    ingest, journeys = run.ingest(), run.journeys()
    run.caught_up("journeys", [run.topics.journal])
    journeys.kill()
    journeys.wait()
    folder = run.folder / "journeys"
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    figures = {f"restart, {customers:,} customers, store intact, s": asyncio.run(_first_output(run))}
    shutil.rmtree(folder)
    figures[f"restart, {customers:,} customers, store lost, s"] = asyncio.run(_first_output(run))
    end(ingest)
    return {**figures, "store, bytes a customer": size / customers}
