"""The Kafka sender against a real broker and a real SMTP server: killed, frozen, held, it sends nothing twice."""

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from agents.kafka import clients
from agents.kafka.control import put, switch
from agents.kafka.tables import whole_topic
from agents.kafka.topics import create, wanted
from agents.localkafka import free_port
from models.command import Cancel, Command, Mark, Release
from models.ids import digest, partition_of
from models.receipt import Receipt
from models.topics import Topics
from tests.sending.build import PLAN, cancel, command, mark

pytestmark = pytest.mark.broker
PARTITIONS = 2
DEADLINE_S = 60.0
_emits = itertools.count()


class Relay:
    """An SMTP server that counts what it took by command, and holds its answer while `gate` is shut.

    `seconds` is what it takes over each.
    """

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()
        self.gate = threading.Event()
        self.gate.set()
        self.shut_after = 10**9
        self.seconds = 0.0

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        for line in (envelope.content or b"").splitlines():
            if line.startswith(b"X-Parcours-Command: "):
                self.taken[line.split()[-1].decode()] += 1
        if self.taken.total() > self.shut_after:
            self.gate.clear()
        await asyncio.sleep(self.seconds)
        await asyncio.to_thread(self.gate.wait)
        return "250 taken"


@pytest.fixture
def relay() -> Iterator[tuple[Relay, str]]:
    handler = Relay()
    port = free_port()
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    yield handler, f"smtp://127.0.0.1:{port}"
    handler.gate.set()
    controller.stop()


class Store:
    """The topics of one test, written as journeys write them: in transactions."""

    def __init__(self, bootstrap: str, topics: Topics):
        self.bootstrap = bootstrap
        self.topics = topics

    async def emit(self, *records: Command | Mark | Release | Cancel) -> None:
        producer = clients.producer(self.bootstrap, transactional_id=f"{self.topics.prefix}engine-{next(_emits)}")
        await producer.start()
        try:
            async with producer.transaction():
                sends = []
                for one in records:
                    topic = self.topics.cancels if isinstance(one, Cancel) else self.topics.delivery
                    customer = getattr(one, "customer", None)
                    places = range(PARTITIONS) if customer is None else [partition_of(customer, PARTITIONS)]
                    for place in places:
                        sends.append(await producer.send(topic, msgspec.json.encode(one), partition=place))
                await asyncio.gather(*sends)
        finally:
            await producer.stop()

    async def receipts(self) -> dict[str, list[Receipt]]:
        found: dict[str, list[Receipt]] = {}
        async for record in whole_topic(self.bootstrap, [self.topics.receipts]):
            one = msgspec.json.decode(record.value, type=Receipt)
            found.setdefault(one.command, []).append(one)
        return found

    async def states(self) -> dict[str, str]:
        """Return the last state of every command; one that has two ends fails here."""
        found = {}
        for name, receipts in (await self.receipts()).items():
            ends = [
                one.state for one in receipts if one.state in {"sent", "unknown", "rejected", "expired", "cancelled"}
            ]
            assert len(ends) <= 1, f"{name} ended {ends}"
            found[name] = ends[0] if ends else receipts[-1].state
        return found

    async def until(self, commands: list[Command], wanted_states: set[str]) -> dict[str, str]:
        """Wait until every command is in one of some states, feeding marks as a live engine does."""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            states = await self.states()
            if all(states.get(one.id) in wanted_states for one in commands):
                return states
            await asyncio.sleep(0.2)
        raise AssertionError(Counter(states.get(one.id, "-") for one in commands))


@pytest.fixture
async def store(kafka: str, tmp_path: Path) -> AsyncIterator[Store]:
    topics = Topics(f"s{digest(str(tmp_path))[:8]}-")
    await create(kafka, wanted(topics, PARTITIONS))
    await put(kafka, topics, [(PLAN.hash.encode(), PLAN.encode())])
    yield Store(kafka, topics)


class Workers:
    """Sender processes, each with its log; every one is ended with the test."""

    def __init__(self, store: Store, smtp: str, folder: Path):
        self.store = store
        self.smtp = smtp
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "agents.cli.main", "worker", "sender", "--smtp", self.smtp]
        words += ["--prefix", self.store.topics.prefix, "--bootstrap", self.store.bootstrap]
        with (self.folder / f"sender-{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(words, stderr=log, stdout=log)
        self.processes.append(process)
        return process

    def log(self, number: int) -> str:
        return (self.folder / f"sender-{number}.log").read_text()

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()


@pytest.fixture
def workers(store: Store, relay: tuple[Relay, str], tmp_path: Path) -> Iterator[Workers]:
    found = Workers(store, relay[1], tmp_path)
    yield found
    found.end()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def commands(count: int, first: int = 0, **more: Any) -> list[Command]:
    return [command(first + number, at=now_ms(), plan=PLAN.hash, **more) for number in range(count)]


@asynccontextmanager
async def at_the_head(store: Store) -> AsyncIterator[None]:
    """Write marks as an engine that is at the head does."""
    stop = asyncio.Event()

    async def feed() -> None:
        while not stop.is_set():
            await store.emit(mark(now_ms()))
            await wait_shortly(stop)

    feeding = asyncio.create_task(feed())
    try:
        yield
    finally:
        stop.set()
        await feeding


async def wait_shortly(stop: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(stop.wait(), 1)
    except TimeoutError:
        return


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


async def test_commands_go_out_once_with_intent_and_outcome_and_a_stop_is_clean(
    store: Store, relay: tuple[Relay, str], workers: Workers
) -> None:
    batch = commands(30)
    stopped = cancel(batch[3])
    await store.emit(*batch, stopped, mark(now_ms()))
    worker = workers.start()
    await store.until(batch, {"sent", "cancelled"})
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0, workers.log(0)
    found = await store.receipts()
    assert [one.state for one in found[batch[3].id]] == ["cancelled"]
    sent = [one for one in batch if one is not batch[3]]
    assert all([one.state for one in found[each.id]] == ["intent", "sent"] for each in sent)
    assert relay[0].taken == Counter(one.id for one in sent)


async def test_what_an_operator_paused_waits_until_it_is_resumed(
    store: Store, relay: tuple[Relay, str], workers: Workers
) -> None:
    batch = commands(5)
    (scenario,) = {one.scenario for one in batch}
    await switch(store.bootstrap, store.topics, scenario, "paused", 0)
    await store.emit(*batch, mark(now_ms()))
    workers.start()
    async with at_the_head(store):
        await store.until(batch, {"held"})
        assert relay[0].taken == Counter()
        await switch(store.bootstrap, store.topics, scenario, "active", 0)
        await store.until(batch, {"sent"})
    assert relay[0].taken == Counter(one.id for one in batch)


async def test_killed_in_the_call_it_reports_unknown_and_sends_nothing_twice(
    store: Store, relay: tuple[Relay, str], workers: Workers
) -> None:
    handler, _ = relay
    handler.shut_after = 25
    batch = commands(60)
    await store.emit(*batch, mark(now_ms()))
    first = workers.start()
    wait_for(lambda: not handler.gate.is_set(), "the relay was never in the middle of a mail")
    first.kill()
    first.wait()
    in_the_air = {name for name, receipts in (await store.receipts()).items() if receipts[-1].state == "intent"}
    assert in_the_air & set(handler.taken), "the kill hit no call"
    handler.shut_after = 10**9
    handler.gate.set()
    workers.start()
    async with at_the_head(store):
        states = await store.until(batch, {"sent", "unknown"})
    assert max(handler.taken.values()) == 1, "a mail went out twice"
    assert {name for name, state in states.items() if state == "unknown"} == in_the_air
    assert {name for name, state in states.items() if state == "sent"} <= set(handler.taken)


async def test_frozen_in_the_call_and_thawed_it_is_fenced_and_the_outcome_stays_unknown(
    store: Store, relay: tuple[Relay, str], workers: Workers
) -> None:
    handler, _ = relay
    handler.shut_after = 0
    batch = commands(6)
    await store.emit(*batch, mark(now_ms()))
    first = workers.start()
    wait_for(lambda: not handler.gate.is_set(), "the relay was never in the middle of a mail")
    os.kill(first.pid, signal.SIGSTOP)
    handler.shut_after = 10**9
    handler.gate.set()
    workers.start()
    more = commands(10, first=100)
    async with at_the_head(store):
        await store.until(batch, {"sent", "unknown"})
        taken_before = Counter(handler.taken)
        os.kill(first.pid, signal.SIGCONT)
        wait_for(lambda: "FencedError" in workers.log(0), "the thawed sender was not fenced")
        await store.emit(*more)
        states = await store.until([*batch, *more], {"sent", "unknown"})
    assert "unknown" in states.values(), "the freeze hit no call"
    assert max(handler.taken.values()) == 1, "a mail went out twice"
    assert {one.id for one in more} <= set(handler.taken)
    assert set(taken_before) <= {one.id for one in batch}


async def test_marketing_is_held_until_the_mark_is_near_and_buyers_get_nothing(
    store: Store, relay: tuple[Relay, str], workers: Workers
) -> None:
    reminders, receipt = commands(10), commands(1, first=50, purpose="transactional")
    workers.start()
    await store.emit(*reminders, *receipt, mark(now_ms() - 4 * 3_600_000))
    await store.until(reminders, {"held"})
    await store.until(receipt, {"sent"})
    bought = reminders[:4]
    await store.emit(*[cancel(one, at=now_ms()) for one in bought], mark(now_ms()))
    states = await store.until(reminders, {"sent", "cancelled"})
    assert [states[one.id] for one in reminders] == ["cancelled"] * 4 + ["sent"] * 6
    assert relay[0].taken.total() == 7


async def test_two_senders_share_the_partitions_and_a_third_that_joins_and_leaves_doubles_nothing(
    store: Store, relay: tuple[Relay, str], workers: Workers
) -> None:
    workers.start()
    workers.start()
    batches: list[Command] = []
    async with at_the_head(store):
        for number in range(6):
            batch = commands(40, first=1_000 * number)
            batches += batch
            await store.emit(*batch)
            if number == 1:
                third = workers.start()
                wait_for(lambda: "sender assigned" in workers.log(2), "the third never had its part")
            if number == 3:
                third.send_signal(signal.SIGTERM)
        states = await store.until(batches, {"sent"})
    assert third.wait(30) == 0, workers.log(2)
    assert set(states.values()) == {"sent"}
    assert relay[0].taken == Counter(one.id for one in batches)
