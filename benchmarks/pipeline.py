"""The whole pipeline on a local broker, on the same cores: a backlog worked off, and open loops with their latency."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.kafka import clients
from benchmarks.deployment import PARTITIONS, Deployment, cpu_s, end
from benchmarks.generator import PREFIX

# An order is confirmed at once: the time from its record to its command, read committed, is the pipeline's latency.
STEP = "confirmation"
QUIET_S = 2.0
# Commands of an open loop's first seconds are left out: caches and the group are still warming up.
WARM_S = 5


@dataclass(frozen=True)
class Loop:
    """What an open loop gave: commands, their latencies (ms), CPU µs an event, and whether the pipeline kept up."""

    rate: int
    commands: int
    p50_ms: int
    p99_ms: int
    cpu_us: dict[str, float]

    def rows(self) -> dict[str, float]:
        """Return the rows of the report."""
        name = f"open loop of {self.rate:,} events/s"
        used = {f"{name}, {kind} CPU us/event": figure for kind, figure in self.cpu_us.items()}
        return {
            f"{name}, latency p50 ms": self.p50_ms,
            f"{name}, latency p99 ms": self.p99_ms,
            f"{name}, commands measured": self.commands,
            **used,
        }


def backlog(run: Deployment, count: int, customers: int) -> dict[str, float]:
    """Return events/s and CPU of ingest and of journeys, one after the other, over a backlog."""
    run.generator(count, customers).wait()
    figures: dict[str, float] = {}
    for name, start, topics in (
        ("ingest", run.ingest, [PREFIX + one for one in run.names]),
        ("journeys", run.journeys, [run.topics.journal]),
    ):
        worker = start()
        before, began = cpu_s(worker), time.time()
        run.caught_up(name, topics)
        figures[f"backlog, {name} events/s"] = count / (time.time() - began)
        figures[f"backlog, {name} CPU us/event"] = (cpu_s(worker) - before) / count * 1e6
        figures[f"backlog, {name} memory MB"] = worker.memory_info().rss / 1e6
        end(worker)
    return figures


async def _latencies(run: Deployment, reader: AIOKafkaConsumer, sending: Any, since_ms: int) -> list[int]:
    found: list[int] = []
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < QUIET_S:
        fetched = await reader.getmany(timeout_ms=100)
        now = time.time_ns() // 1_000_000
        for rows in fetched.values():
            for row in rows:
                said = msgspec.json.decode(row.value)
                if said["kind"] == "command" and said["step"] == STEP and said["due_at"] >= since_ms:
                    found.append(now - said["due_at"])
        if sending.poll() is None:
            quiet_since = time.monotonic()
    return sorted(found)


async def _measure(run: Deployment, rate: int, seconds: int, customers: int, seed: int) -> list[int]:
    reader = clients.consumer(run.bootstrap)
    await reader.start()
    try:
        places = [TopicPartition(run.topics.delivery, one) for one in range(PARTITIONS)]
        reader.assign(places)
        for place, upto in (await reader.end_offsets(places)).items():
            reader.seek(place, upto)
        count = rate * (seconds + WARM_S)
        sending = run.generator(count, customers, "--rate", str(rate), "--seed", str(seed))
        since = (time.time_ns() // 1_000_000) + count // 150 + WARM_S * 1000  # the load is made before it is sent
        return await _latencies(run, reader, sending, since)
    finally:
        await reader.stop()


def open_loop(run: Deployment, rate: int, seconds: int, customers: int, seed: int) -> Loop:
    """Return what an open loop at a rate gave."""
    workers = {"ingest": run.ingest(), "journeys": run.journeys()}
    run.caught_up("journeys", [run.topics.journal])
    before = {name: cpu_s(worker) for name, worker in workers.items()}
    found = asyncio.run(_measure(run, rate, seconds, customers, seed))
    used = {name: cpu_s(worker) - before[name] for name, worker in workers.items()}
    for worker in workers.values():
        end(worker)
    events = rate * (seconds + WARM_S)
    return Loop(
        rate=rate,
        commands=len(found),
        p50_ms=found[len(found) // 2] if found else -1,
        p99_ms=found[len(found) * 99 // 100] if found else -1,
        cpu_us={name: seconds_used / events * 1e6 for name, seconds_used in used.items()},
    )
