"""Starts the workers as processes of their own, kills and freezes them, and reads what the topics hold."""

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient

from agents.kafka import clients
from models.topics import Topics

_numbers = itertools.count(1)
ROOT = Path(__file__).parents[2]


def wait_for(condition: Callable[[], Any], timeout_s: float, what: str) -> Any:
    """Poll until a condition gives something true; fail with what was awaited."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {timeout_s} s: {what}")


async def _lag(bootstrap: str, group: str, topic: str) -> int:
    admin, reader = AIOKafkaAdminClient(bootstrap_servers=bootstrap), clients.consumer(bootstrap, topic)
    await admin.start()
    await reader.start()
    try:
        held = await admin.list_consumer_group_offsets(group)
        ends = await reader.end_offsets(list(reader.assignment()))
        return sum(end - (held[place].offset if place in held else 0) for place, end in ends.items())
    finally:
        await reader.stop()
        await admin.close()


class Cluster:
    """One deployment under a prefix of its own."""

    def __init__(self, bootstrap: str, folder: Path, sources: list[dict[str, str]], settings: dict[str, str]):
        self.bootstrap = bootstrap
        self.folder = folder
        self.prefix = f"x{os.getpid()}-{next(_numbers)}-"
        self.topics = Topics(self.prefix)
        self.settings = settings
        self.processes: list[subprocess.Popen[bytes]] = []
        for one in sources:
            one["topic"] = self.prefix + one["name"]
        self.topic_of = {one["name"]: one["topic"] for one in sources}
        self.sources = folder / "sources.yaml"
        self.sources.write_text(json.dumps({"sources": sources}))

    def run(self, *words: str | Path, timeout_s: float = 120) -> str:
        """Run a command to its end and return what it printed."""
        full = [sys.executable, "-m", "agents.cli.main", *(str(word) for word in words), "--bootstrap", self.bootstrap]
        done = subprocess.run(full, capture_output=True, text=True, timeout=timeout_s, check=False, cwd=ROOT)
        assert done.returncode == 0, f"{words}: {done.stderr[-2000:]}"
        return done.stdout

    def topics_apply(self, partitions: int = 8) -> None:
        """Make all topics."""
        words = ("topics", "apply", "--partitions", str(partitions), "--prefix", self.prefix)
        self.run(*words, "--sources", self.sources)

    def start(self, *words: str | Path, env: dict[str, str] | None = None) -> "subprocess.Popen[bytes]":
        """Start a worker."""
        full = [sys.executable, "-m", "agents.cli.main", "worker", *(str(word) for word in words)]
        full += ["--bootstrap", self.bootstrap, "--prefix", self.prefix]
        with (self.folder / f"{words[0]}-{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(full, stderr=log, stdout=log, env={**os.environ, **(env or {})}, cwd=ROOT)
        self.processes.append(process)
        return process

    def ingest(self, *more: str, sources: Path | None = None) -> "subprocess.Popen[bytes]":
        """Start an ingest with the shipped plan."""
        said = [word for key, value in self.settings.items() for word in ("--set", f"{key}={value}")]
        return self.start("ingest", "--plan", "scenarios", "--sources", sources or self.sources, *said, *more)

    def journeys(self, slot: str, env: dict[str, str] | None = None) -> "subprocess.Popen[bytes]":
        """Start a journeys worker in a slot."""
        data = self.folder / f"journeys-{slot}"
        return self.start("journeys", "--data", data, "--instance", slot, env=env)

    def rows(self, what: str) -> list[dict[str, Any]]:
        """Return what a reading command lists, one object a line."""
        out = self.run(what, "--kafka", "--prefix", self.prefix, "--json")
        return [json.loads(line) for line in out.splitlines()]

    def ledger(self) -> dict[str, Any]:
        """Return the ledger."""
        found: dict[str, Any] = self.rows("ledger")[0]
        return found

    def customers(self) -> dict[str, Any]:
        """Return every customer's final state."""
        out = self.run("customer", "--all", "--kafka", "--prefix", self.prefix, "--json")
        return {row["id"]: row for row in map(json.loads, out.splitlines())}

    def lag(self, group: str, topic: str) -> int:
        """Return how many records of a topic lie after the group's offsets, as a lag monitor sees it."""
        return asyncio.run(_lag(self.bootstrap, self.prefix + group, topic))

    def log_of(self, kind: str) -> str:
        """Return all that workers of a kind logged."""
        return "".join(path.read_text() for path in sorted(self.folder.glob(f"{kind}-*.log")))

    def stop(self) -> None:
        """End every worker."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
