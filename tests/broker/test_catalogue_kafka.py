"""The catalogue on a real broker: a sender follows the topic `products`, and its receipts name how far."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.kafka import clients
from agents.kafka.control import put
from agents.kafka.topics import create, wanted
from agents.senders.goods import TopicGoods
from agents.senders.goods import publish as publish_rows
from models.catalogue import Ranking
from models.command import Command, Lookup
from models.ids import digest
from models.topics import Topics
from pipeline.sending.catalogue_rows import encode_row
from tests.broker.test_sender_kafka import PARTITIONS, Store, at_the_head, now_ms
from tests.sending.build import command
from tests.sending.test_catalogue import PLAN

pytestmark = pytest.mark.broker


@pytest.fixture
async def store(kafka: str, tmp_path: Path) -> AsyncIterator[Store]:
    topics = Topics(f"g{digest(str(tmp_path), str(os.getpid()))[:8]}-")
    await create(kafka, wanted(topics, PARTITIONS))
    await put(kafka, topics, [(PLAN.hash.encode(), PLAN.encode())])
    yield Store(kafka, topics)


async def publish(store: Store, rows: dict[str, bytes | None]) -> None:
    producer = clients.producer(store.bootstrap)
    await producer.start()
    try:
        for key, value in rows.items():
            await producer.send_and_wait(store.topics.products, value, key=key.encode(), partition=0)
    finally:
        await producer.stop()


def product(name: str, **more: Any) -> bytes:
    return json.dumps({"product_id": name, "name": name.title(), **more}).encode()


@pytest.fixture
def sender(store: Store, tmp_path: Path) -> Iterator[Path]:
    outbox = tmp_path / "outbox"
    words = [sys.executable, "-m", "agents.cli.main", "worker", "sender", "--outbox", str(outbox)]
    words += ["--prefix", store.topics.prefix, "--bootstrap", store.bootstrap]
    with (tmp_path / "sender.log").open("wb") as log:
        process = subprocess.Popen(words, stderr=log, stdout=log)
    yield outbox
    process.kill()
    process.wait()


def asks(number: int, **more: Any) -> Command:
    return command(number, at=now_ms(), plan=PLAN.hash, data={}, **more)


async def ends(store: Store, of: list[Command]) -> list[tuple[str, str, str]]:
    await store.until(of, {"sent", "rejected"})
    receipts = await store.receipts()
    return [(last.state, last.reason, last.catalogue_version) for last in (receipts[one.id][-1] for one in of)]


async def test_a_sender_follows_the_topic_and_leaves_out_what_it_cannot_read(store: Store, sender: Path) -> None:
    popular = Ranking(list="popular", products=("mug", "jug"))
    rows = {"mug": product("mug", price=12.5), "jug": product("jug", stock=0), "odd": b"\xff no JSON"}
    await publish(store, {**rows, popular.key: encode_row(popular)})
    first = asks(1, lookups={"goods": Lookup(ask="popular", count=5)})
    gone = asks(2, lookups={"goods": Lookup(ask="product", products=["jug"])}, require=["in_stock"])
    async with at_the_head(store):
        await store.emit(first, gone)
        assert await ends(store, [first, gone]) == [("sent", "", "0:4"), ("rejected", "out_of_stock", "0:4")]
        assert "[Mug €12.50]" in _mail(sender, first)
        await publish(store, {"jug": product("jug", stock=2), "mug": None})
        later = asks(3, lookups={"goods": Lookup(ask="popular", count=5)})
        number = 3
        while True:
            # The sender polls twice a second: what it rendered before says so by its version.
            await store.emit(later)
            [(state, _, version)] = await ends(store, [later])
            assert state == "sent"
            if version == "0:6":
                break
            assert version in {"0:4", "0:5"} and number < 50
            number += 1
            later = asks(number, lookups=later.lookups)
        assert "[Jug ]" in _mail(sender, later) and "Mug" not in _mail(sender, later)


def _mail(outbox: Path, of: Command) -> str:
    import email
    from email import policy

    for path in outbox.rglob("*.eml"):
        found = email.message_from_bytes(path.read_bytes(), policy=policy.default)
        if found["X-Parcours-Command"] == of.id:
            part = found.get_body(("plain",))
            assert part is not None
            return str(part.get_content())
    raise AssertionError(f"no mail of {of.id}")


async def test_published_lists_replace_those_that_stand_there_and_leave_the_stores_products(store: Store) -> None:
    await publish(store, {"mug": product("mug")})
    lists = [Ranking(list="new", of=of, products=("mug",)) for of in ("kitchen", "light/old")]
    await publish_rows(store.bootstrap, store.topics, list(lists))
    await publish_rows(store.bootstrap, store.topics, [Ranking(list="new", of="light", products=("mug",))])
    goods = TopicGoods(store.bootstrap, store.topics)
    known = asyncio.Event()
    following = asyncio.create_task(goods.follow(known))
    await asyncio.wait_for(known.wait(), 30)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    assert (list(goods.now().products), goods.now().new) == (["mug"], {"light": ("mug",)})
