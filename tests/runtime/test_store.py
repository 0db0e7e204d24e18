"""The store of a partition: what is on disk says the same as what is in memory, whatever order things came in."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from rocksdict import WriteBatch

from models.customer import NEVER, Customer, Enrolment, Entry, Profile, Waiting
from models.progress import STATE_VERSION, Progress
from pipeline.errors import DataFolderError
from pipeline.runtime.batch import Batch
from pipeline.store import rocks
from pipeline.store.codec import (
    cold_key,
    decode_customer,
    decode_progress,
    encode_cold,
    encode_hot,
    encode_progress,
    hot_key,
)
from pipeline.store.memory import MemoryStore
from pipeline.store.rocks import RocksStore
from tests.engine.build import T0, Life, cart, order

NAMES = ("a", "b", "é", "z" * 200, "a\x7f", "аня", "😀")


def progress(**more: int) -> Progress:
    return Progress(journal="journal", partitions=1, partition=0, lineage="test", **more)


def waiting(name: str, due: int, orders: int = 0) -> Customer:
    enrolment = Enrolment(
        id=f"e-{name}",
        scenario="s",
        version="1",
        entry=Entry(event="x", type="t", at=T0),
        clock=T0,
        waiting=Waiting(since=T0, due=due),
    )
    return Customer(id=name, enrolments=(enrolment,), profile=Profile(orders=orders))


def apply(store: RocksStore, batch: Batch) -> None:
    store.apply_at(batch, batch.progress.next_offset)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RocksStore]:
    found = RocksStore(tmp_path / "db")
    yield found
    found.close()


def test_a_customer_comes_back_as_it_was_written(store: RocksStore) -> None:
    life = Life().feed(cart(T0, "p1", "p2"), order(T0 + 1))
    apply(store, Batch(progress=progress(), customers={"c1": life.known}))
    store._forget()
    assert store.get("c1") == life.known


def test_nothing_is_known_of_a_customer_who_never_came(store: RocksStore) -> None:
    assert store.get("nobody") is None
    assert store.progress() is None
    assert store.due(NEVER, 10) == []


def test_the_store_on_disk_and_the_one_in_memory_say_the_same(
    store: RocksStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rocks, "CACHED_MAX", 3)
    dice, memory = random.Random(7), MemoryStore()
    watermark = T0
    for number in range(300):
        customers: dict[str, Customer | None] = {}
        for name in dice.sample(NAMES, dice.randrange(1, 4)):
            gone = dice.random() < 0.15
            customers[name] = None if gone else waiting(name, T0 + dice.randrange(0, 900), number)
        watermark = max(watermark, T0 + 3 * number - 100)
        batch = Batch(progress=progress(next_offset=number, watermark=watermark), customers=customers)
        apply(store, batch)
        memory.apply(batch)
        assert [store.get(name) for name in NAMES] == [memory.get(name) for name in NAMES]
        assert store.customers_after(None, 99) == memory.customers_after(None, 99)
        assert store.customers_after("a", 2) == memory.customers_after("a", 2)
        # The index may wake a customer too early, and never too late or twice.
        woken = [name for _, name in store.due(watermark, 99)]
        assert set(woken) >= {name for _, name in memory.due(watermark, 99)}
        assert len(woken) == len(set(woken))
    assert store.progress() == memory.progress()


def test_due_customers_come_by_due_time_and_go_on_after_a_cursor(store: RocksStore) -> None:
    customers: dict[str, Customer | None] = {f"c{n}": waiting(f"c{n}", T0 + 10 - n) for n in range(6)}
    apply(store, Batch(progress=progress(), customers=customers))
    rows = store.due(T0 + 9, 99)
    assert rows == [(T0 + 10 - n, f"c{n}") for n in (5, 4, 3, 2)], "strictly before"
    assert store.due(T0 + 9, 2) == rows[:2]
    assert store.due(T0 + 9, 99, rows[1]) == rows[2:]
    assert store.due(T0 + 9, 99) == rows, "a cursor forgets nothing"


def test_a_timer_that_moves_on_costs_no_index_write(store: RocksStore) -> None:
    apply(store, Batch(progress=progress(), customers={"c1": waiting("c1", T0 + 100)}))
    out = WriteBatch(raw_mode=True)
    moved = Batch(progress=progress(), customers={"c1": waiting("c1", T0 + 500)})
    store.write(moved, out)
    assert len(out) == 2, "the hot value and the progress record"


def test_a_wake_up_that_finds_nothing_due_makes_the_index_true(store: RocksStore) -> None:
    for watermark in (T0, T0 + 200):
        batch = Batch(progress=progress(watermark=watermark), customers={"c1": waiting("c1", T0 + 500)})
        if watermark == T0:
            apply(store, Batch(progress=progress(), customers={"c1": waiting("c1", T0 + 100)}))
        apply(store, batch)
    assert store.due(T0 + 500, 9) == []
    assert store.due(T0 + 501, 9) == [(T0 + 500, "c1")]


def test_only_what_changed_is_written_to_the_changelog(store: RocksStore) -> None:
    known = Life().feed(cart(T0, "p1")).known
    first = Batch(progress=progress(), customers={"c1": known})
    assert [key for key, _ in store.changes(first)] == [hot_key("c1"), cold_key("c1"), b"p"]
    apply(store, first)
    seen = Batch(progress=progress(), customers={"c1": replace(known, now=known.now + 1)})
    assert [key for key, _ in store.changes(seen)] == [hot_key("c1"), b"p"]
    gone = Batch(progress=progress(), customers={"c1": None})
    assert store.changes(gone)[:2] == [(hot_key("c1"), None), (cold_key("c1"), None)]


def test_a_store_restored_from_its_changelog_is_the_store_that_wrote_it(tmp_path: Path, store: RocksStore) -> None:
    changelog: list[tuple[bytes, bytes | None]] = []
    other = RocksStore(tmp_path / "other")
    for number in range(40):
        name = f"c{number % 11}"
        customer = None if number % 7 == 0 else waiting(name, T0 + number, number)
        batch = Batch(progress=progress(next_offset=number), customers={name: customer})
        changelog += store.changes(batch)
        apply(store, batch)
    # Restored in two parts, with reads between that fill the cache.
    for part in (changelog[:30], changelog[30:]):
        other.load(part)
        other.reindex(sorted({key[1:].decode() for key, _ in part if key[:1] == b"h"}))
        assert other.get("c3") is not None
    names = other.customers_after(None, 99)
    assert names == store.customers_after(None, 99)
    assert [other.get(name) for name in names] == [store.get(name) for name in names]
    assert {name for _, name in other.due(T0 + 99, 99)} == {name for _, name in store.due(T0 + 99, 99)}
    assert other.progress() == store.progress()
    other.close()


def test_a_state_of_a_newer_version_is_refused_and_says_why() -> None:
    known = waiting("c1", T0)
    newer = bytes([STATE_VERSION + 1])
    with pytest.raises(DataFolderError, match="newer release"):
        decode_customer("c1", newer + encode_hot(known)[1:], None)
    with pytest.raises(DataFolderError, match="newer release"):
        decode_customer("c1", encode_hot(known), newer + encode_cold(known)[1:])
    with pytest.raises(DataFolderError, match="newer release"):
        decode_progress(newer + encode_progress(progress())[1:])
