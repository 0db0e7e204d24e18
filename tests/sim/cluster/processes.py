"""The processes of the simulated cluster: the real workers, given the simulated clients, clock and disk."""

import asyncio
import errno
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from aiokafka.errors import KafkaError

from agents.ingest.sources import Source
from agents.ingest.worker import feedback_sources, run_live
from agents.journeys.app import Pump
from agents.senders.worker import SenderOptions, SenderWorker
from models.topics import Topics
from pipeline.engine.plan import Plan
from pipeline.intake.mapper import validator_for
from pipeline.intake.mapping import load_mapping
from pipeline.scenario.compile import compile_plan, read_settings
from pipeline.scenario.sources import PlanSources
from pipeline.sending.catalogue import Catalogue
from pipeline.sending.outcome import Message, Outcome
from pipeline.store.rocks import RocksStore
from tests.sim.cluster import shop
from tests.sim.cluster.broker import Broker
from tests.sim.cluster.clock import Clock, here
from tests.sim.cluster.consumer import Consumer
from tests.sim.cluster.producer import Producer

TOPICS = Topics("")
_compiled: dict[str, Plan] = {}


def compiled(sources: PlanSources) -> Plan:
    """Compile a plan once for all simulations."""
    if sources.hash not in _compiled:
        _compiled[sources.hash] = compile_plan(sources)
    return _compiled[sources.hash]


class Gone(Exception):
    """A worker ended itself."""


# What may end a worker of the simulation as it may end a real one: its supervisor starts another.
EXPECTED: tuple[type[Exception], ...] = (KafkaError, Gone)


def _exit(code: int) -> None:
    raise Gone(f"exit {code}")


class Goods:
    """No catalogue."""

    def now(self) -> Catalogue:
        return Catalogue()


class Disk:
    """The disks of all journeys workers: full at times."""

    def __init__(self) -> None:
        self.full = False
        self.refused = 0


def stores_of(disk: Disk) -> type[RocksStore]:
    """Return the real store, closed with its process, on a disk that may be full."""

    class Store(RocksStore):
        def __init__(self, path: Path):
            super().__init__(path)
            here().at_end.append(self.close)
            self._closed = False

        def apply_at(self, batch: Any, offset: int) -> None:
            if disk.full:
                disk.refused += 1
                raise OSError(errno.ENOSPC, "No space left on device")
            super().apply_at(batch, offset)

        def close(self) -> None:
            if not self._closed:
                self._closed = True
                super().close()

    return Store


class Provider:
    """A provider that keeps every call; at times it says nothing, or later, or no."""

    name, needs_address, at_once, rate = "fake", False, 4, None

    def __init__(self, clock: Clock, *, idempotent: bool):
        self.clock = clock
        self.idempotent = idempotent
        self.key_holds_ms = 0
        self.trouble = 0.0
        self.accepted: list[tuple[str, int]] = []
        self.calls = 0

    async def send(self, message: Message) -> Outcome:
        process = here()
        await process.effect()
        if message.call_by is not None and self.clock.ticks() > message.call_by:
            return Outcome("retry", "too late to call", after_s=0.1)
        self.calls += 1
        drawn = process.dice.random()
        if drawn < self.trouble / 2:
            return Outcome("retry", "try later", after_s=process.dice.choice((0.2, 2.0)))
        self.accepted.append((message.command, self.clock.broker_ms()))
        await process.effect(process.dice.choice((0.001, 0.01, 0.3)))
        if drawn < self.trouble:
            return Outcome("unknown", "timed out", repeatable=True, trouble=True)
        return Outcome("accepted", provider_id=f"<{message.command}>")

    async def close(self) -> None:
        """Nothing is open."""


def sources() -> list[Source]:
    settings = read_settings(shop.plan("one"))
    validator = validator_for(settings.store.currency, settings.events)
    return [Source(name, name, load_mapping("native"), shop.DELAY_MS, validator) for name in shop.SOURCES]


async def ingest() -> None:
    """`parcours worker ingest`, live."""
    stop, mine = asyncio.Event(), sources()
    await asyncio.gather(
        run_live("sim", TOPICS, mine, stop, here().name),
        run_live("sim", TOPICS, feedback_sources(TOPICS, mine[0].validator), stop, f"{here().name}-feedback"),
    )


async def journeys(data: Path, slot: str) -> None:
    """`parcours worker journeys`: the pump and its lanes; Faust's part is to hand its chunks on."""

    class Channel:
        async def put(self, chunk: Any) -> None:
            await here().effect()
            pump.dispatch(*chunk)

    app: Any = SimpleNamespace(flow_control=SimpleNamespace(resume=lambda: None))
    pump = Pump(app, Channel(), "sim", TOPICS, data / slot, slot, shop.PARTITIONS)
    await pump.on_start()
    tasks: list[Callable[[Any], Awaitable[None]]] = [Pump.pump.fun, Pump.tell.fun]  # type: ignore[attr-defined]
    await asyncio.gather(*[task(pump) for task in tasks])


async def sender(provider: Provider, slot: str) -> None:
    """`parcours worker sender`."""
    options = SenderOptions("sim", provider, topics=TOPICS, instance=slot, goods=Goods())  # type: ignore[arg-type]
    await SenderWorker(options).run(asyncio.Event())


@contextmanager
def simulated(broker: Broker, clock: Clock, disk: Disk) -> Iterator[None]:
    """Give the workers' modules the simulated world."""

    async def committed(bootstrap: str, group: str) -> Any:
        await here().effect()
        return broker.offsets(group)

    def producer(bootstrap: str, *, transactional_id: str | None = None, **more: Any) -> Any:
        return Producer(broker, transactional_id)

    def consumer(bootstrap: str, *topics: str, group: str | None = None, **more: Any) -> Any:
        return Consumer(broker, *topics, group=group, **more)

    os_ = SimpleNamespace(_exit=_exit, environ={})
    silent = SimpleNamespace(**dict.fromkeys(("info", "warning", "error", "exception"), lambda *_, **__: None))
    patches: dict[str, Any] = {
        "agents.kafka.clients.producer": producer,
        "agents.kafka.clients.consumer": consumer,
        "agents.ingest.live.committed": committed,
        "agents.ingest.live.time": clock,
        "agents.journeys.lane.time": clock,
        "agents.journeys.lane.os": os_,
        "agents.journeys.transacting.time": clock,
        "agents.journeys.lane.RocksStore": stores_of(disk),
        "agents.senders.delivery.time": clock,
        "agents.senders.worker.SystemClock": lambda: clock,
        "agents.kafka.control.compile_plan": compiled,
        "pipeline.runtime.plans.compile_plan": compiled,
        # Fewer idle rounds: they cost time and show nothing.
        "agents.ingest.live.ROUND_MS": 150,
        "agents.journeys.app.FETCH_MS": 150,
        "pipeline.sending.lane.IDLE_MS": 250,
        "agents.journeys.lane.log": silent,
        "agents.journeys.app.log": silent,
        "agents.ingest.live.log": silent,
        "agents.ingest.worker.log": silent,
        "agents.senders.worker.log": silent,
    }
    with patched(patches):
        yield


@contextmanager
def patched(patches: dict[str, Any]) -> Iterator[None]:
    """Put each in its place, and back."""
    started = []
    try:
        for name, value in patches.items():
            one = mock.patch(name, value)
            one.start()
            started.append(one)
        yield
    finally:
        for one in reversed(started):
            one.stop()
