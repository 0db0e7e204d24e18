"""A store of this machine against the changelog on a broker: gone on with, or built anew."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from agents.journeys.restore import STORE_AGE_MS_MAX, restore
from agents.kafka import clients
from models.progress import Progress
from models.topics import Topics
from pipeline.runtime.batch import Batch
from pipeline.store.rocks import RocksStore
from tests.engine.build import T0
from tests.runtime.test_store import waiting

pytestmark = [pytest.mark.broker, pytest.mark.timeout(120)]
WRITTEN = T0


def progress(lineage: str = "test") -> Progress:
    return Progress(journal="journal", partitions=1, partition=0, lineage=lineage, journal_at=WRITTEN)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RocksStore]:
    """Holds `stays` and `gone` as of the changelog's first progress record."""
    one = RocksStore(tmp_path / "db")
    batch = Batch(progress=progress(), customers={name: waiting(name, T0) for name in ("stays", "gone")})
    one.apply_at(batch, 2)
    yield one
    one.close()


async def changelog(bootstrap: str, topics: Topics, store: RocksStore, lineage: str = "test") -> None:
    """Write a changelog that was compacted: `gone` was deleted in it, and the deletion is compacted away too."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topics.changelog, 1, 1)])
    await admin.close()
    changes = store.changes(Batch(progress=progress(lineage), customers={"stays": waiting("stays", T0, orders=3)}))
    producer = clients.producer(bootstrap)
    await producer.start()
    for key, value in [*changes, *changes]:
        await producer.send_and_wait(topics.changelog, value, key=key, partition=0)
    await producer.stop()


def names(store: RocksStore) -> list[str]:
    return store.customers_after(None, 9)


def test_a_store_older_than_deletions_are_kept_is_built_anew(kafka: str, store: RocksStore, tmp_path: Path) -> None:
    topics = Topics(f"{tmp_path.name}-")
    asyncio.run(changelog(kafka, topics, store))
    asyncio.run(restore(kafka, topics, 0, store, WRITTEN + STORE_AGE_MS_MAX + 1))
    assert names(store) == ["stays"], "the deleted would have come back to life"


def test_a_younger_store_is_gone_on_with(kafka: str, store: RocksStore, tmp_path: Path) -> None:
    topics = Topics(f"{tmp_path.name}-")
    asyncio.run(changelog(kafka, topics, store))
    found = asyncio.run(restore(kafka, topics, 0, store, WRITTEN + STORE_AGE_MS_MAX))
    assert names(store) == ["gone", "stays"], "nothing was read from the beginning"
    assert found is not None
    assert found.lineage == "test"


def test_a_store_of_another_changelog_is_built_anew(kafka: str, store: RocksStore, tmp_path: Path) -> None:
    topics = Topics(f"{tmp_path.name}-")
    asyncio.run(changelog(kafka, topics, store, lineage="another"))
    found = asyncio.run(restore(kafka, topics, 0, store, WRITTEN))
    assert names(store) == ["stays"]
    assert found is not None
    assert found.lineage == "another"
