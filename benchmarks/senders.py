"""One sender process on a real broker against a local relay and a local HTTP provider: rate, CPU a message, its parts.

The whole is the worker's own CPU over messages in the middle of a backlog. Render and provider are measured by
themselves, in this process, on the same messages; what is left of the whole is the ledger: reading, checks, two
receipts and the progress of each message.
"""

import asyncio
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil

from agents import localkafka
from agents.kafka import clients
from agents.kafka.control import LIVE, put
from agents.kafka.topics import create, wanted
from agents.senders.build import provider_of
from benchmarks.deployment import cpu_s, end
from benchmarks.stages import PLAN
from models.command import Command, Mark
from models.ids import partition_of
from models.topics import Topics
from pipeline.scenario.sources import PlanSources, read_sources
from pipeline.sending.outcome import Message
from pipeline.sending.render import Renderer
from tests.sending.build import command

PARTITIONS = 8
CHANNELS = {"smtp": "email", "http": "sms"}
# The first messages are left out: templates are compiled, connections made, the group placed.
WARM = 2_000
ALONE = 600
POLL_S = 0.02
PATIENCE_S = 300.0
ITEMS = [
    {"product_id": f"p{n}", "name": f"Mug {n}", "price": 1_250 + n, "quantity": 1, "url": f"https://shop.example/p{n}"}
    for n in range(3)
]
DATA = {"first_name": "Léa", "items": ITEMS, "total": 3_753, "link": "https://shop.example/cart"}
TEXT = "Your cart waits for you, {{ first_name }}: {{ link }}"


@contextmanager
def receiver() -> Iterator[tuple[int, int]]:
    """Give the ports of a relay and of an HTTP provider that run as a process."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.receiver"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        smtp, http = process.stdout.readline().split()
        yield int(smtp), int(http)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def plan_of(ports: tuple[int, int]) -> PlanSources:
    """Return the shipped plan with the two providers, and a text message of a line; nothing brakes it."""
    smtp, http = ports
    said = (
        "brake: 'off'\nsenders:\n"
        f"  sms: {{provider: {{kind: gateway, url: 'http://127.0.0.1:{http}', at_once: 64}}}}\n"
        f"  email:\n    smtp: {{url: 'smtp://127.0.0.1:{smtp}', at_once: 16}}\n"
    )
    files = read_sources(PLAN).files
    settings = files["settings.yaml"].replace("senders:\n  email:\n", said)
    return PlanSources({**files, "settings.yaml": settings, "abandoned-cart/reminder.en.sms.txt": TEXT})


def command_of(kind: str, number: int, plan: str, now: int) -> Command:
    """Return a reminder of a cart with three products, as mail or as a text message."""
    said: dict[str, Any] = {} if kind == "smtp" else {"channel": "sms", "address": "+33612345678"}
    return command(
        number, at=now, plan=plan, scenario="abandoned-cart", step="reminder", template="abandoned-cart/reminder",
        data=DATA, **said,
    )  # fmt: skip


def render_us(kind: str, plan: PlanSources) -> float:
    """Return CPU microseconds of rendering one message."""
    renderer = Renderer(plan)
    now = time.time_ns() // 1_000_000
    commands = [command_of(kind, number, plan.hash, now) for number in range(ALONE)]
    renderer.render(commands[0], now)
    began = time.process_time()
    for one in commands:
        renderer.render(one, now)
    return (time.process_time() - began) / ALONE * 1e6


async def provider_us(kind: str, plan: PlanSources) -> float:
    """Return CPU microseconds of handing one rendered message over: MIME or JSON, the dialogue, the answer."""
    renderer, now = Renderer(plan), time.time_ns() // 1_000_000
    messages = [renderer.render(command_of(kind, number, plan.hash, now), now) for number in range(2 * ALONE)]
    provider = provider_of(CHANNELS[kind], renderer.settings.senders)
    slots = asyncio.Semaphore(provider.at_once)

    async def one(message: Message) -> None:
        async with slots:
            assert (await provider.send(message)).state == "accepted"

    try:
        await asyncio.gather(*[one(message) for message in messages[:ALONE]])
        began = time.process_time()
        await asyncio.gather(*[one(message) for message in messages[ALONE:]])
        return (time.process_time() - began) / ALONE * 1e6
    finally:
        await provider.close()


async def _fill(bootstrap: str, topics: Topics, kind: str, plan: PlanSources, count: int) -> None:
    """Put a plan and a backlog of commands, in transactions as journeys write them."""
    await create(bootstrap, wanted(topics, PARTITIONS))
    await put(bootstrap, topics, [(plan.hash.encode(), plan.encode()), (LIVE, plan.hash.encode())])
    producer = clients.producer(bootstrap, transactional_id=f"{topics.prefix}engine")
    await producer.start()
    try:
        now = time.time_ns() // 1_000_000
        for first in range(0, count, 1_000):
            async with producer.transaction():
                for number in range(first, min(first + 1_000, count)):
                    one = command_of(kind, number, plan.hash, now)
                    place = partition_of(one.customer, PARTITIONS)
                    await producer.send(topics.delivery, msgspec.json.encode(one), partition=place)
    finally:
        await producer.stop()


async def _marks(bootstrap: str, topics: Topics, until: asyncio.Event) -> None:
    """Write marks as an engine at the head does."""
    producer = clients.producer(bootstrap)
    await producer.start()
    try:
        while not until.is_set():
            value = msgspec.json.encode(Mark(partition=0, applied_until=time.time_ns() // 1_000_000))
            for partition in range(PARTITIONS):
                await producer.send_and_wait(topics.delivery, value, partition=partition)
            await asyncio.wait({asyncio.create_task(until.wait())}, timeout=1)
    finally:
        await producer.stop()


async def _measure(bootstrap: str, topics: Topics, worker: psutil.Process, count: int) -> tuple[float, float]:
    """Return messages/s and the worker's CPU µs a message, from the WARM-th outcome to the last but a few."""
    reader = clients.consumer(bootstrap, topics.receipts, auto_offset_reset="earliest")
    await reader.start()
    sent, began, used = 0, 0.0, 0.0
    first, deadline = 0, time.monotonic() + PATIENCE_S
    try:
        while sent < count * 95 // 100:
            assert time.monotonic() < deadline, f"{sent} of {count} after {PATIENCE_S} s"
            for records in (await reader.getmany(timeout_ms=int(POLL_S * 1000))).values():
                sent += sum(b'"state":"sent"' in record.value for record in records)
            if not began and sent >= WARM:
                first, began, used = sent, time.monotonic(), cpu_s(worker)
        number = sent - first
        return number / (time.monotonic() - began), (cpu_s(worker) - used) / number * 1e6
    finally:
        await reader.stop()


_prefixes = (f"bench{number}-" for number in itertools.count())


async def one_sender(bootstrap: str, kind: str, count: int) -> dict[str, float]:
    """Measure one sender process over a backlog."""
    topics = Topics(next(_prefixes))
    with receiver() as ports:
        plan = plan_of(ports)
        await _fill(bootstrap, topics, kind, plan, count)
        words = [sys.executable, "-m", "agents.cli.main", "worker", "sender", "--channel", CHANNELS[kind]]
        worker = psutil.Popen([*words, "--prefix", topics.prefix, "--bootstrap", bootstrap], stderr=subprocess.DEVNULL)
        done = asyncio.Event()
        marks = asyncio.create_task(_marks(bootstrap, topics, done))
        try:
            rate, whole = await _measure(bootstrap, topics, worker, count)
        finally:
            done.set()
            await marks
            end(worker)
        render, provider = render_us(kind, plan), await provider_us(kind, plan)
    return {
        f"sender, {kind}, messages/s": rate,
        f"sender, {kind}, load average meanwhile": os.getloadavg()[0],
        f"sender, {kind}, CPU us/message": whole,
        f"sender, {kind}, of it render": render,
        f"sender, {kind}, of it provider": provider,
        f"sender, {kind}, of it ledger": whole - render - provider,
    }


def senders(count: int) -> dict[str, float]:
    """Measure a relay and an HTTP provider, each with a sender of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "kafka"
        bootstrap = localkafka.start(folder)
        try:
            figures = [asyncio.run(one_sender(bootstrap, kind, count)) for kind in CHANNELS]
        finally:
            localkafka.stop(folder)
    return {row: figure for one in figures for row, figure in one.items()}
