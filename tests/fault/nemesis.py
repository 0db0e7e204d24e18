"""What breaks things: a process that does one injection of a row after another, and notes what each one hit."""

import argparse
import asyncio
import json
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition

from agents import localkafka
from agents.kafka import clients
from tests.fault.deployment import PARTITIONS, Deployment, now_ms
from tests.fault.shop import Load

SESSION_S = 6.0
# Other work may be on the machine: nothing of these is a figure of the product.
PATIENCE_S = 60.0
POLL_S = 0.03
WORKERS = ("ingest-a", "ingest-b", "journeys-a", "journeys-b", "sender-a", "sender-b")


@dataclass
class Injection:
    """One fault: when it began (UTC ms), from when recovery counts, and why it showed nothing, if it did not."""

    what: str
    at: int = field(default_factory=now_ms)
    healed_at: int = 0
    void: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    flowing: bool = True  # records came in before and after it; False: only before


@dataclass(frozen=True)
class Row:
    """One row of the table; `gap_s` are the pauses between injections, at random; `short`: part of ROWS=short."""

    name: str
    promise: str
    inject: Callable[["Nemesis"], Awaitable[Injection]]
    full: int = 20
    short: int = 0
    gap_s: tuple[float, float] = (1.0, 4.0)
    slots: tuple[str, ...] = WORKERS
    spare: tuple[str, ...] = ()  # slots that do not run at first
    load: Load = field(default_factory=Load)
    env: dict[str, dict[str, str]] = field(default_factory=dict)
    settle_s: float = 240.0


class Nemesis:
    """Everything that a row may do to a deployment."""

    def __init__(self, deployment: Deployment, row: Row):
        self.deployment = deployment
        self.row = row
        self.dice = random.Random(f"nemesis {row.name} {deployment.seed}")
        self.folder = deployment.path
        self.http = httpx.AsyncClient(timeout=30)
        self.number = 0
        self._probes: dict[str, AIOKafkaConsumer] = {}

    # -- workers

    def named(self, kind: str) -> list[str]:
        """Return the slots of a kind that are wanted now."""
        return sorted(path.name for path in (self.folder / "wanted").iterdir() if path.name.startswith(kind))

    def pid(self, slot: str) -> int | None:
        """Return a slot's process, None while it is being started again."""
        try:
            return int((self.folder / "pids" / slot).read_text())
        except FileNotFoundError:
            return None

    def signal(self, slot: str, number: signal.Signals) -> bool:
        """Send a signal; False where nothing ran."""
        pid = self.pid(slot)
        try:
            os.kill(pid, number) if pid else None
        except ProcessLookupError:
            return False
        return pid is not None

    def want(self, slot: str, wanted: bool) -> None:
        """Start a slot, or end it as an operator does (SIGTERM)."""
        path = self.folder / "wanted" / slot
        path.touch() if wanted else path.unlink(missing_ok=True)

    async def until(self, condition: Callable[[], Any], what: str, timeout_s: float = PATIENCE_S) -> Any:
        """Wait for a condition and return what it gave; None when it was not met in time."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            found = condition()
            found = await found if asyncio.iscoroutine(found) else found
            if found:
                return found
            await asyncio.sleep(POLL_S)
        print(f"not within {timeout_s} s: {what}", flush=True)
        return None

    async def running(self, slot: str) -> bool:
        """Wait until a slot runs."""
        return bool(await self.until(lambda: self.pid(slot), f"{slot} runs"))

    async def trap(self, slot: str, point: str, pause_s: float) -> str | None:
        """Let a worker stand still at a point of `agents.pausing`; return of what (a partition), None if it came not."""
        folder = self.folder / "pauses" / slot
        for stale in folder.glob("paused-*"):
            stale.unlink()
        (folder / "asked").write_text(str(pause_s))
        (folder / "asked").rename(folder / point)
        found = await self.until(
            lambda: list(folder.glob(f"paused-{point}-*")) or not self.pid(slot), f"{slot} at {point}"
        )
        (folder / point).unlink(missing_ok=True)
        stopped = list(folder.glob(f"paused-{point}-*"))
        return stopped[0].name.split("-", 2)[2] if found and stopped else None

    def log_of(self, slot: str) -> str:
        """Return all that a slot logged."""
        path = self.folder / f"{slot}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def logged(self, slot: str, event: str) -> int:
        """Count an event in a slot's log."""
        return self.log_of(slot).count(f'"{event}"')

    # -- the broker, the provider

    async def _probe(self, isolation: str) -> AIOKafkaConsumer:
        if isolation not in self._probes:
            self._probes[isolation] = clients.consumer(self.deployment.bootstrap, isolation_level=isolation)
            await self._probes[isolation].start()
        return self._probes[isolation]

    async def ends(self, topic: str, isolation: str = "read_uncommitted") -> dict[int, int]:
        """Return the ends of a topic's partitions; read_committed: up to the first open transaction."""
        places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        probe = await self._probe(isolation)
        return {place.partition: end for place, end in (await probe.end_offsets(places)).items()}

    async def open_transactions(self, topic: str) -> list[int]:
        """Return the partitions of a topic in which a transaction is open now, as the broker says."""
        stable = await self.ends(topic, "read_committed")
        ends = await self.ends(topic)
        return [number for number in ends if ends[number] > stable[number]]

    async def grown(self, topic: str, partition: int, since: int) -> bool:
        """Say whether a partition has more committed records than at an offset."""
        return (await self.ends(topic, "read_committed"))[partition] > since

    async def kill_broker(self, down_s: float) -> None:
        """Kill -9 the broker; start it again after a while, on the same port with what it holds."""
        folder = Path(self.deployment.folder) / "kafka"
        os.kill(int((folder / "pid").read_text()), signal.SIGKILL)
        (folder / "pid").unlink()
        await self._forget_probes()
        await asyncio.sleep(down_s)
        await asyncio.to_thread(localkafka.start, folder)

    def broker_pid(self) -> int:
        """Return the broker's process."""
        return int((Path(self.deployment.folder) / "kafka" / "pid").read_text())

    async def _forget_probes(self) -> None:
        for probe in self._probes.values():
            await probe.stop()
        self._probes.clear()

    async def provider(self, mode: str, share: float = 1.0) -> dict[str, int]:
        """Set the provider's mode; return its calls so far by mode."""
        answer = await self.http.post(f"{self.deployment.control}/mode", json={"mode": mode, "share": share})
        found: dict[str, int] = answer.json()["calls"]
        return found

    def shop(self, what: str) -> int:
        """Return how much of something the shop has written."""
        path = self.folder / "shop.json"
        return int(json.loads(path.read_text()).get(what, 0)) if path.exists() else 0

    # -- the course of it

    async def run(self, count: int) -> None:
        """Do so many injections that show something; void ones are noted too, and tried again as often at most."""
        valid = tries = 0
        with (self.folder / "injections.jsonl").open("w") as out:
            while valid < count and tries < 2 * count + 2:
                await asyncio.sleep(self.dice.uniform(*self.row.gap_s))
                self.number = tries
                done = await self.row.inject(self)
                tries += 1
                valid += not done.void
                out.write(json.dumps(asdict(done)) + "\n")
                out.flush()
        await self._forget_probes()
        await self.http.aclose()


def main() -> None:
    """Do the injections of a row."""
    from tests.fault.rows import ROWS

    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("folder", type=Path)
    words.add_argument("row", choices=sorted(ROWS))
    words.add_argument("count", type=int)
    said = words.parse_args()
    nemesis = Nemesis(Deployment.load(said.folder), ROWS[said.row])
    asyncio.run(nemesis.run(said.count))


if __name__ == "__main__":
    main()
