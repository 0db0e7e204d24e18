"""The kill switch on a real broker: of all, of a scenario, of a channel; in the middle of a queue, within two seconds."""

import asyncio
import time
from collections import Counter
from pathlib import Path

import pytest

from agents.kafka.control import LIVE, put
from agents.kafka.topics import create, wanted
from models.command import Command
from models.ids import digest
from models.topics import Topics
from tests.broker.test_guards_kafka import on_cluster
from tests.broker.test_sender_kafka import PARTITIONS, Relay, Store, Workers, at_the_head, now_ms, relay
from tests.sending.build import command
from tests.sending.test_brakes import plan

__all__ = ["relay"]
pytestmark = [pytest.mark.broker, pytest.mark.timeout(120)]
SECONDS = 2.0
SOURCES = plan("brake: off\n")


def waiting(count: int, first: int = 0) -> list[Command]:
    return [command(first + number, at=now_ms(), plan=SOURCES.hash) for number in range(count)]


@pytest.mark.parametrize("said", [("*",), ("cart",), ("--channel", "email")], ids=["all", "scenario", "channel"])
async def test_a_pause_in_the_middle_of_a_queue_acts_within_two_seconds_and_a_resume_lets_the_rest_go(
    kafka: str, relay: tuple[Relay, str], tmp_path: Path, said: tuple[str, ...]
) -> None:
    topics = Topics(f"k{digest(str(tmp_path))[:8]}-")
    await create(kafka, wanted(topics, PARTITIONS))
    await put(kafka, topics, [(SOURCES.hash.encode(), SOURCES.encode()), (LIVE, SOURCES.hash.encode())])
    store = Store(kafka, topics)
    handler, address = relay
    handler.seconds = 0.05
    workers = Workers(store, address, tmp_path)
    mine = waiting(250)
    try:
        workers.start()
        async with at_the_head(store):
            await store.emit(*mine)
            deadline = time.monotonic() + 30
            while not handler.taken:
                assert time.monotonic() < deadline, "nothing goes out"
                await asyncio.sleep(0.02)
            assert (await on_cluster(store, "pause", *said)).returncode == 0
            async with asyncio.timeout(SECONDS):
                while set((states := await store.states()).values()) != {"sent", "held"} or len(states) < len(mine):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            held = Counter(states.values())["held"]
            assert held == len(mine) - handler.taken.total() > 0, "the pause came after the last message"
            more = waiting(5, first=1_000)
            await store.emit(*more)
            assert (await on_cluster(store, "resume", *said)).returncode == 0
            states = await store.until([*mine, *more], {"sent"})
        assert max(handler.taken.values()) == 1 and handler.taken.total() == len(mine) + 5
    finally:
        workers.end()


async def test_a_channel_or_a_scenario_must_be_named_and_another_channel_goes_on(
    kafka: str, relay: tuple[Relay, str], tmp_path: Path
) -> None:
    topics = Topics(f"k{digest(str(tmp_path))[:8]}-")
    await create(kafka, wanted(topics, PARTITIONS))
    await put(kafka, topics, [(SOURCES.hash.encode(), SOURCES.encode()), (LIVE, SOURCES.hash.encode())])
    store = Store(kafka, topics)
    for wrong in ((), ("cart", "--channel", "email")):
        assert (await on_cluster(store, "pause", *wrong)).returncode == 2
    assert (await on_cluster(store, "pause", "--channel", "sms")).returncode == 0
    workers = Workers(store, relay[1], tmp_path)
    mine = waiting(3)
    try:
        workers.start()
        async with at_the_head(store):
            await store.emit(*mine)
            await store.until(mine, {"sent"})
    finally:
        workers.end()
