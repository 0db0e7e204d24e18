"""`parcours apply` on a cluster: the states are read from the changelog, and the plan stands in every partition."""

import os
from pathlib import Path

import msgspec
import pytest

from agents.kafka import clients, control
from agents.kafka.control import LIVE, activate, put, read_plans
from agents.kafka.tables import whole_topic
from agents.kafka.topics import create, wanted
from models.ids import digest, partition_of
from models.journal import Bundle, PlanActivated
from models.topics import Topics
from pipeline.scenario.sources import read_sources
from pipeline.store.codec import PROGRESS, cold_key, encode_cold, encode_hot, encode_progress, hot_key
from tests.applying.test_command import folder, said, signals
from tests.applying.test_preview import CART, SETTINGS, THANKS, Shop, sources
from tests.engine.build import HOUR, T0, cart

__all__ = ["signals"]
pytestmark = pytest.mark.broker
PARTITIONS = 2


async def test_a_plan_is_tried_on_the_changelog_and_then_stands_in_every_partition(kafka: str, tmp_path: Path) -> None:
    import asyncio

    topics = Topics(f"a{digest(str(tmp_path), str(os.getpid()))[:8]}-")
    await create(kafka, wanted(topics, PARTITIONS))
    first = sources(cart=CART)
    shop = Shop(first).feed(*(cart(T0 + HOUR, "p1", customer=f"c{number}") for number in range(9)))
    await put(kafka, topics, [(first.hash.encode(), first.encode()), (LIVE, first.hash.encode())])
    await _write(kafka, topics, shop)
    draft = folder(tmp_path / "draft", SETTINGS, thanks=THANKS)
    where = ("--bootstrap", kafka, "--prefix", topics.prefix)
    refused = await asyncio.to_thread(said, "apply", draft, *where)
    assert refused.returncode == 2 and "say --yes" in refused.stderr
    assert f"over {first.hash}: 9 customers\n  removed: cart\n    9 inside version" in refused.stdout
    assert (await read_plans(kafka, topics))[LIVE] == first.hash.encode()
    done = await asyncio.to_thread(said, "apply", draft, "--yes", *where)
    new = read_sources(draft)
    assert done.returncode == 0 and done.stdout.endswith(f"plan {new.hash} is live\n"), done.stderr
    assert (await read_plans(kafka, topics))[LIVE] == new.hash.encode()
    found = [
        (record.partition, entry.plan, entry.at)
        async for record in whole_topic(kafka, [topics.journal])
        for entry in msgspec.json.decode(record.value, type=Bundle).entries
        if isinstance(entry, PlanActivated)
    ]
    assert sorted(found) == [(number, new.hash, T0 + 2 * HOUR) for number in range(PARTITIONS)]
    again = await asyncio.to_thread(said, "apply", draft, *where)
    assert (again.returncode, again.stdout) == (0, "this plan is live already\n")


async def test_a_plan_that_comes_back_is_an_activation_of_its_own_and_one_that_was_cut_off_is_not(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = Topics(f"b{digest(str(tmp_path), str(os.getpid()))[:8]}-")
    await create(kafka, wanted(topics, PARTITIONS))
    one, two = sources(cart=CART), sources(thanks=THANKS)

    async def cut(bootstrap: str, where: Topics, pairs: list[tuple[bytes, bytes]]) -> None:
        if pairs[0][0] == LIVE:
            raise ConnectionError
        await put(bootstrap, where, pairs)

    with monkeypatch.context() as patch, pytest.raises(ConnectionError):
        patch.setattr(control, "put", cut)
        await activate(kafka, topics, one, at=T0)
    for number, plan in enumerate((one, two, one, two)):
        assert await activate(kafka, topics, plan, at=T0 + number)
    assert not await activate(kafka, topics, two, at=T0 + 9)
    found = [
        (entry.id, entry.plan)
        async for record in whole_topic(kafka, [topics.journal])
        if record.partition == 0
        for entry in msgspec.json.decode(record.value, type=Bundle).entries
        if isinstance(entry, PlanActivated)
    ]
    assert [plan for _, plan in found] == [one.hash, one.hash, two.hash, one.hash, two.hash]
    assert found[0] == found[1]
    assert len({name for name, _ in found}) == 4


async def _write(kafka: str, topics: Topics, shop: Shop) -> None:
    """Write states and progress as journeys do, a deleted customer among them."""
    from msgspec.structs import replace

    producer = clients.producer(kafka)
    await producer.start()
    try:
        for name, customer in shop.customers.items():
            place = partition_of(name, PARTITIONS)
            values = {hot_key(name): encode_hot(customer), cold_key(name): encode_cold(customer)}
            for key, value in values.items():
                await producer.send_and_wait(topics.changelog, value, key=key, partition=place)
        gone = next(iter(shop.customers.values()))
        for value in (encode_hot(gone), None):
            await producer.send_and_wait(topics.changelog, value, key=hot_key("gone"), partition=0)
        for number in range(PARTITIONS):
            progress = replace(shop.progress, partition=number, partitions=PARTITIONS, watermark=T0 + 2 * HOUR)
            await producer.send_and_wait(topics.changelog, encode_progress(progress), key=PROGRESS, partition=number)
    finally:
        await producer.stop()
