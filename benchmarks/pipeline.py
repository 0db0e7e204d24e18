"""The whole pipeline on a local broker: how fast a backlog is worked off, and the latency of an open loop."""

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import orjson
import psutil
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from agents import localkafka
from agents.kafka import clients
from agents.kafka.tables import partition_count
from benchmarks.load import TOPIC_OF, records
from models.ids import partition_of
from models.topics import Topics

PARTITIONS = 8
SETTINGS = ("--set", "consent_default=granted", "--set", "require_address=false")


class Run:
    """One deployment on a broker of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.bootstrap = localkafka.start(folder / "kafka")
        self.topics = Topics("bench-")
        names = sorted(set(TOPIC_OF.values()))
        self.sources = folder / "sources.yaml"
        said = [{"name": one, "topic": f"bench-{one}", "delay": "1s"} for one in names]
        self.sources.write_text(json.dumps({"sources": said}))
        self.command("topics", "apply", "--partitions", str(PARTITIONS), "--sources", str(self.sources))

    def command(self, *words: str) -> None:
        """Run a command to its end."""
        full = [sys.executable, "-m", "agents.cli.main", *words, "--prefix", "bench-", "--bootstrap", self.bootstrap]
        subprocess.run(full, check=True, capture_output=True)

    def worker(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a worker."""
        full = [sys.executable, "-m", "agents.cli.main", "worker", *words, "--prefix", "bench-"]
        log = (self.folder / f"{words[0]}.log").open("ab")
        return subprocess.Popen([*full, "--bootstrap", self.bootstrap], stdout=log, stderr=log)

    async def publish(self, count: int, customers: int, seed: int, per_second: int | None) -> None:
        """Write the load, as fast as it goes or at a rate (an open loop: late sends are not left out)."""
        producer = clients.producer(self.bootstrap, linger_ms=5)
        await producer.start()
        began = time.time()
        now = round(began * 1000)
        for number, record in enumerate(records(count, customers, seed, now, per_second or 1_000_000)):
            if per_second and number % 50 == 0:
                ahead = began + number / per_second - time.time()
                if ahead > 0:
                    await asyncio.sleep(ahead)
            value = record.value
            if per_second:
                body = orjson.loads(value)
                body["occurred_at"] = time.time_ns() // 1_000_000
                value = orjson.dumps(body)
            place = partition_of(record.key.decode(), PARTITIONS)
            await producer.send(f"bench-{record.topic}", value, key=record.key, partition=place)
        await producer.stop()

    async def caught_up(self, group: str, topics: list[str]) -> None:
        """Wait until a group has committed to the ends of some topics."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        reader = clients.consumer(self.bootstrap)
        await admin.start()
        await reader.start()
        try:
            while True:
                places = [
                    TopicPartition(one, p) for one in topics for p in range(await partition_count(self.bootstrap, one))
                ]
                ends = {place: end for place, end in (await reader.end_offsets(places)).items() if end}
                held = await _held(admin, group)
                if all(place in held and held[place].offset >= end for place, end in ends.items()):
                    return
                await asyncio.sleep(0.05)
        finally:
            await admin.close()
            await reader.stop()


async def _held(admin: AIOKafkaAdminClient, group: str) -> dict[TopicPartition, object]:
    try:
        return await admin.list_consumer_group_offsets(group)
    except KafkaError:
        return {}  # the coordinator is being made


def backlog(run: Run, count: int, customers: int) -> dict[str, float]:
    """Return events/s and CPU of ingest and journeys, one after the other, over a backlog."""
    asyncio.run(run.publish(count, customers, 1, None))
    names = [f"bench-{one}" for one in sorted(set(TOPIC_OF.values()))]
    figures: dict[str, float] = {}
    ingest = run.worker("ingest", "--plan", "scenarios", "--sources", str(run.sources), *SETTINGS)
    began = time.time()
    asyncio.run(run.caught_up("bench-ingest", names))
    figures["ingest events/s"] = count / (time.time() - began)
    figures["ingest CPU us"] = sum(psutil.Process(ingest.pid).cpu_times()[:2]) / count * 1e6
    ingest.send_signal(signal.SIGTERM)
    ingest.wait()
    journeys = run.worker("journeys", "--data", str(run.folder / "j"), "--instance", "one")
    began = time.time()
    asyncio.run(run.caught_up("bench-journeys", [run.topics.journal]))
    figures["journeys events/s"] = count / (time.time() - began)
    figures["journeys CPU us"] = sum(psutil.Process(journeys.pid).cpu_times()[:2]) / count * 1e6
    figures["journeys memory MB"] = psutil.Process(journeys.pid).memory_info().rss / 1e6
    journeys.send_signal(signal.SIGTERM)
    journeys.wait()
    return figures


async def _latencies(run: Run, seconds: int, per_second: int, customers: int) -> list[int]:
    reader = clients.consumer(run.bootstrap)
    await reader.start()
    places = [TopicPartition(run.topics.delivery, one) for one in range(PARTITIONS)]
    reader.assign(places)
    for place, end in (await reader.end_offsets(places)).items():
        reader.seek(place, end)
    sending = asyncio.create_task(run.publish(seconds * per_second, customers, 2, per_second))
    found: list[int] = []
    quiet = 0
    while quiet < 20:
        fetched = await reader.getmany(timeout_ms=100)
        now = time.time_ns() // 1_000_000
        for rows in fetched.values():
            for row in rows:
                said = msgspec.json.decode(row.value)
                if said["kind"] == "command" and said["step"] == "confirmation":
                    found.append(now - said["due_at"])
        quiet = quiet + 1 if sending.done() else 0
    await reader.stop()
    return sorted(found)


def latency(run: Run, seconds: int, per_second: int, customers: int) -> dict[str, float]:
    """Return the latency from an order's record to its command, read by a committed reader."""
    workers = [
        run.worker("ingest", "--sources", str(run.sources)),
        run.worker("journeys", "--data", str(run.folder / "j"), "--instance", "one"),
    ]
    asyncio.run(_latencies(run, 5, per_second // 5, customers))  # warm
    found = asyncio.run(_latencies(run, seconds, per_second, customers))
    for one in workers:
        one.send_signal(signal.SIGTERM)
        one.wait()
    return {
        "latency p50 ms": float(found[len(found) // 2]),
        "latency p99 ms": float(found[len(found) * 99 // 100]),
        "latency commands": float(len(found)),
    }


def measure(count: int, customers: int, seconds: int) -> dict[str, float]:
    """Run everything on a fresh broker."""
    with tempfile.TemporaryDirectory() as name:
        run = Run(Path(name))
        try:
            return {**backlog(run, count, customers), **latency(run, seconds, 5_000, customers)}
        finally:
            localkafka.stop(Path(name) / "kafka")
