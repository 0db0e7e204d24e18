"""A deployment on a broker of its own, its workers started, timed and ended as processes."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from agents import localkafka
from agents.kafka import clients
from agents.kafka.tables import partition_count
from benchmarks.generator import PREFIX
from benchmarks.load import TOPIC_OF
from models.topics import Topics

PARTITIONS = 8
SETTINGS = ("--set", "consent_default=granted", "--set", "require_address=false")
PATIENCE_S = 600


class Deployment:
    """Broker, topics and workers; every source ticks with a delay of one second."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.bootstrap = localkafka.start(folder / "kafka")
        self.topics = Topics(PREFIX)
        self.names = sorted(set(TOPIC_OF.values()))
        self.sources = folder / "sources.yaml"
        said = [{"name": one, "topic": PREFIX + one, "delay": "1s"} for one in self.names]
        self.sources.write_text(json.dumps({"sources": said}))
        self._command("topics", "apply", "--partitions", str(PARTITIONS), "--sources", str(self.sources))

    def close(self) -> None:
        """Stop the broker."""
        localkafka.stop(self.folder / "kafka")

    def _command(self, *words: str) -> None:
        full = [sys.executable, "-m", "agents.cli.main", *words, "--prefix", PREFIX, "--bootstrap", self.bootstrap]
        subprocess.run(full, check=True, capture_output=True)

    def worker(self, *words: str) -> psutil.Popen:
        """Start a worker."""
        full = [sys.executable, "-m", "agents.cli.main", "worker", *words, "--prefix", PREFIX]
        log = (self.folder / f"{words[0]}.log").open("ab")
        return psutil.Popen([*full, "--bootstrap", self.bootstrap], stdout=log, stderr=log)

    def ingest(self) -> psutil.Popen:
        """Start an ingest with the shipped plan."""
        return self.worker("ingest", "--plan", "scenarios", "--sources", str(self.sources), *SETTINGS)

    def journeys(self) -> psutil.Popen:
        """Start the journeys worker."""
        return self.worker("journeys", "--data", str(self.folder / "journeys"), "--instance", "one")

    def generator(self, events: int, customers: int, *more: str) -> psutil.Popen:
        """Start a generator."""
        words = ("--partitions", str(PARTITIONS), "--events", str(events), "--customers", str(customers), *more)
        full = [sys.executable, "-m", "benchmarks.generator", "--bootstrap", self.bootstrap, *words]
        return psutil.Popen(full)

    def caught_up(self, group: str, topics: list[str]) -> None:
        """Wait until a group has committed to the ends that some topics have now."""
        asyncio.run(self._caught_up(PREFIX + group, topics))

    async def _caught_up(self, group: str, topics: list[str]) -> None:
        admin, reader = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap), clients.consumer(self.bootstrap)
        await admin.start()
        await reader.start()
        try:
            places = [
                TopicPartition(one, p) for one in topics for p in range(await partition_count(self.bootstrap, one))
            ]
            ends = {place: end for place, end in (await reader.end_offsets(places)).items() if end}
            deadline = time.monotonic() + PATIENCE_S
            while time.monotonic() < deadline:
                held = await _held(admin, group)
                if all(place in held and held[place].offset >= end for place, end in ends.items()):
                    return
                await asyncio.sleep(0.05)
            raise TimeoutError(f"{group} is not at the end of {topics} after {PATIENCE_S} s")
        finally:
            await admin.close()
            await reader.stop()


async def _held(admin: AIOKafkaAdminClient, group: str) -> dict[TopicPartition, object]:
    try:
        return await admin.list_consumer_group_offsets(group)
    except KafkaError:
        return {}  # the coordinator is being made


def cpu_s(process: psutil.Process) -> float:
    """Return the CPU seconds that a process has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


def end(process: psutil.Popen) -> None:
    """Tell a worker to stop, and wait for it."""
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=60)
