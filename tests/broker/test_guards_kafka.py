"""A brake on a real broker: what is above it is held and listed, survives a restart, and goes when it is released."""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from agents.kafka.control import LIVE, put
from agents.kafka.topics import create, wanted
from models.ids import digest
from models.topics import Topics
from tests.applying.test_command import Said, said
from tests.broker.test_sender_kafka import PARTITIONS, Store, at_the_head, now_ms
from tests.sending.build import command
from tests.sending.test_brakes import plan

pytestmark = pytest.mark.broker
SOURCES = plan("brake: 4/h\n")


def start(store: Store, folder: Path) -> "subprocess.Popen[bytes]":
    words = [sys.executable, "-m", "agents.cli.main", "worker", "sender", "--outbox", str(folder / "outbox")]
    words += ["--prefix", store.topics.prefix, "--bootstrap", store.bootstrap]
    with (folder / "sender.log").open("ab") as log:
        return subprocess.Popen(words, stderr=log, stdout=log)


async def on_cluster(store: Store, *words: str) -> Said:
    where = ("--kafka", "--bootstrap", store.bootstrap, "--prefix", store.topics.prefix)
    return await asyncio.to_thread(said, *words, *where)


async def test_what_the_brake_holds_is_listed_and_goes_when_it_is_released(kafka: str, tmp_path: Path) -> None:
    topics = Topics(f"b{digest(str(tmp_path), str(os.getpid()))[:8]}-")
    await create(kafka, wanted(topics, PARTITIONS))
    await put(kafka, topics, [(SOURCES.hash.encode(), SOURCES.encode()), (LIVE, SOURCES.hash.encode())])
    store = Store(kafka, topics)
    mine = [command(number, at=now_ms(), plan=SOURCES.hash) for number in range(20)]
    sender = start(store, tmp_path)
    try:
        async with at_the_head(store):
            await store.emit(*mine)
            states = await store.until(mine, {"sent", "held"})
            # Each of the two partitions takes its half of the limit.
            assert Counter(states.values()) == {"sent": 4, "held": 16}
            listed = await on_cluster(store, "held", "ls")
            assert listed.stdout.startswith("cart: 16 since ") and "(`brake`): release or cancel it" in listed.stdout
            sender.kill()
            sender.wait()
            sender = start(store, tmp_path)
            assert (await on_cluster(store, "release", "cart")).returncode == 0
            states = await store.until(mine, {"sent"})
            assert set(states.values()) == {"sent"}
            assert (await on_cluster(store, "held", "ls")).stdout == "nothing is held\n"
    finally:
        sender.kill()
        sender.wait()
    assert len(list((tmp_path / "outbox").glob("*.eml"))) == 20
