"""One simulation from one seed: a shop, the workers, what happens to them, and how it all ends."""

import asyncio
import contextvars
import json
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition

from agents.kafka.control import activate
from models.event import Event
from models.journal import Tick
from models.progress import Progress
from pipeline.journal.codec import decode
from pipeline.store.codec import PROGRESS, decode_progress
from tests.sim.cluster import processes, shop
from tests.sim.cluster.broker import Broker
from tests.sim.cluster.clock import Clock, Process, VirtualLoop, current
from tests.sim.cluster.nemesis import RESTART_S, WORKERS, Nemesis

TOPICS = processes.TOPICS
SHOP_S, END_S, CALM_S = 20.0, 200.0, 2.0
RECORDS = 90
# After the last record: two chases one after the other are over.
PASSED_MS = 22_000


@dataclass
class Tally:
    """What happened, so that a run in which nothing did counts for nothing."""

    faults: Counter[str] = field(default_factory=Counter)
    published: int = 0


class World:
    """Everything of one seed. `faults` False: nothing goes wrong."""

    def __init__(self, seed: int, *, faults: bool = True):
        self.seed = seed
        self.faults = faults
        self.dice = random.Random(f"world {seed}")
        self.loop = VirtualLoop()
        self.clock = Clock(self.loop)
        counts = dict.fromkeys(
            (TOPICS.journal, TOPICS.changelog, TOPICS.delivery, TOPICS.decisions, TOPICS.cancels, TOPICS.receipts,
             TOPICS.sender_progress, TOPICS.forwards, TOPICS.vouchers, *shop.SOURCES), shop.PARTITIONS,
        ) | {TOPICS.plans: 1, TOPICS.dead_letters: 1, TOPICS.products: 1}  # fmt: skip
        self.broker = Broker(self.clock, random.Random(f"broker {seed}"), counts, TOPICS.journal)
        self.disk = processes.Disk()
        self.provider = processes.Provider(self.clock, idempotent=seed % 2 == 0)
        self.data = Path(tempfile.mkdtemp(prefix="parcours-sim-"))
        self.live: dict[str, Process] = {}
        self.failed: list[BaseException] = []
        self.tally = Tally()
        self.plans = {name: shop.plan(name).hash for name in shop.WAITS}
        self.versions = {
            (one.hash, scenario.name): scenario.version
            for one in (processes.compiled(shop.plan(name)) for name in shop.WAITS)
            for scenario in one.scenarios
        }

    def run(self) -> None:
        """Run to the end; what went wrong in a worker for good is raised."""
        try:
            with processes.simulated(self.broker, self.clock, self.disk):
                asyncio.set_event_loop(self.loop)
                self.loop.run_until_complete(self._main())
        finally:
            asyncio.set_event_loop(None)
            self.loop.close()
            shutil.rmtree(self.data, ignore_errors=True)

    def process(self, name: str) -> Process:
        return Process(name, random.Random(f"{name} {self.seed} {self.dice.random()}"))

    def _work_of(self, name: str) -> Coroutine[Any, Any, None]:
        kind, _, slot = name.partition("-")
        if kind == "ingest":
            return processes.ingest()
        if kind == "journeys":
            return processes.journeys(self.data, slot)
        return processes.sender(self.provider, slot)

    def start(self, name: str) -> None:
        """Start a worker."""
        self.live[name] = process = self.process(name)
        process.start(self._watched(name, process))

    async def _watched(self, name: str, process: Process) -> None:
        """Run a worker; one that ends by itself is started again, as its supervisor would."""
        try:
            await self._work_of(name)
        except Exception as error:  # noqa: BLE001 - whatever ends a worker is its supervisor's to see
            self.tally.faults[f"ended: {type(error).__name__}"] += 1
            if not isinstance(error, processes.EXPECTED):
                self.failed.append(error)
            self.outside(self.again(name, process))

    def outside(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin a task that belongs to no process, from within one."""
        contextvars.Context().run(self.loop.create_task, work)

    async def again(self, name: str, process: Process) -> None:
        await process.kill()
        await asyncio.sleep(self.dice.choice(RESTART_S))
        if self.live.get(name) is process:
            self.start(name)

    async def kill(self, name: str, after_s: float) -> None:
        """Kill -9, and start again a while later."""
        process = self.live[name]
        if process.dead:
            return
        await process.kill()
        if name.startswith("journeys") and self.dice.random() < 0.3:
            shutil.rmtree(self.data / name.partition("-")[2], ignore_errors=True)
            self.tally.faults["store lost"] += 1
        await asyncio.sleep(after_s)
        if self.live[name] is process:
            self.start(name)

    # -- the course of it

    async def _main(self) -> None:
        house = self.loop.create_task(self.broker.keep_house())
        operator = self.process("operator")
        await operator.start(activate("sim", TOPICS, shop.plan("one"), 0))
        for name in WORKERS:
            self.start(name)
        store = self.process("shop")
        writing = store.start(self._shop())
        happening = self.loop.create_task(Nemesis(self).work()) if self.faults else None
        await writing
        if happening is not None:
            await happening
        await self._settle()
        for process in self.live.values():
            await process.kill()
        house.cancel()

    async def _shop(self) -> None:
        dice = random.Random(f"shop {self.seed}")
        process = self._current()
        await asyncio.sleep(2.5)
        for number in range(RECORDS):
            await process.effect(dice.expovariate(RECORDS / SHOP_S))
            now = self.clock.broker_ms()
            source, record = shop.said(dice, number, now)
            value = shop.encode(record)
            if dice.random() < 0.08:
                value = b"{broken"
            for _ in range(1 if dice.random() < 0.93 else 2):
                partition = dice.randrange(shop.PARTITIONS)
                # A producer's own time: a little before the broker's, so that records of a partition are out of order.
                stamp = now - dice.choice((0, 0, 5, 200, 700))
                self.broker.append(TopicPartition(source, partition), value, None, [], stamp)
                self.tally.published += 1

    @staticmethod
    def _current() -> Process:
        found = current.get()
        assert found is not None
        return found

    # -- the end

    async def _settle(self) -> None:
        """Wait until everything is read, due and ended, or for as long as that may ever take."""
        calm = 0.0
        while self.clock.monotonic() < END_S and calm < CALM_S:
            await asyncio.sleep(0.5)
            calm = calm + 0.5 if self._is_settled() else 0.0

    def _is_settled(self) -> bool:
        progress = self.progress()
        if self.broker.open or len(progress) < shop.PARTITIONS:
            return False
        newest = max((one.timestamp for name in shop.SOURCES for one in self.broker.committed(name)), default=0)
        if any(one.watermark <= newest + PASSED_MS for one in progress.values()):
            return False
        ended = {one["command"] for one in self.receipts() if one["state"] in ENDS}
        return all(one["id"] in ended for one in self.commands()) and self._fed_back()

    def _fed_back(self) -> bool:
        """Say whether what the senders said last has come back into the journal, and was applied."""
        wanted = {
            (one.partition, one.offset)
            for one in self.broker.committed(TOPICS.receipts)
            if json.loads(one.value or b"{}")["state"] in ENDS
        }
        rows = [
            entry
            for number in range(shop.PARTITIONS)
            for _, value in self.journal(number)
            for entry in decode(value).entries
        ]
        known = {
            (one.position.partition, one.position.offset)
            for one in rows
            if isinstance(one, Event) and one.position.source == "receipts"
        }
        return wanted <= known

    def progress(self) -> dict[int, Progress]:
        """Return the last committed progress record of each journal partition."""
        found = {}
        for number in range(shop.PARTITIONS):
            for one in reversed(self.broker.logs[TopicPartition(TOPICS.changelog, number)].committed()):
                if one.key == PROGRESS:
                    found[number] = decode_progress(one.value or b"")
                    break
        return found

    def journal(self, partition: int) -> list[tuple[int, bytes]]:
        """Return (append time, bundle) of a journal partition, as far as it is committed to the state."""
        upto = self.progress()[partition].next_offset
        log = self.broker.logs[TopicPartition(TOPICS.journal, partition)]
        return [(one.timestamp, one.value or b"") for one in log.committed() if one.offset < upto]

    def journal_events(self) -> list[Event]:
        return [
            entry
            for record in self.broker.committed(TOPICS.journal)
            for entry in decode(record.value or b"").entries
            if isinstance(entry, Event) and not isinstance(entry, Tick)
        ]

    def _rows(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(one.value or b"{}") for one in self.broker.committed(topic)]

    def commands(self) -> list[dict[str, Any]]:
        return [one for one in self._rows(TOPICS.delivery) if one["kind"] == "command"]

    def receipts(self) -> list[dict[str, Any]]:
        return self._rows(TOPICS.receipts)


ENDS = ("sent", "rejected", "expired", "cancelled", "unknown")
