"""Segments in the read model: who is in which, their sizes by day, and the map and funnels by segment."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from agents.projector.batch import Record
from agents.projector.projector import Projector
from models.customer import Customer, Tracked
from models.membership import Membership
from pipeline.store.codec import encode_hot, hot_key
from tests.projector.kit import MINUTE, NOON, Log, ask, projector

DAY = 86_400_000


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Projector]:
    found = projector(tmp_path)
    yield found
    found.engine.dispose()


def member(log: Log, customer: str, at: int, *names: str) -> None:
    log.put("memberships", msgspec.json.encode(Membership(customer=customer, at=at, names=names)))


def sizes(made: Projector) -> list[tuple[object, ...]]:
    return ask(made.engine, "select day, name, entered, gone from memberships order by 1, 2")


def test_who_comes_and_goes_is_counted_by_day_and_who_is_in_stands_there(made: Projector) -> None:
    log = Log()
    member(log, "c1", NOON, "buyer:new", "vip")
    member(log, "c2", NOON, "vip")
    made.apply(log.records)
    member(log, "c1", NOON + DAY, "buyer:loyal", "vip")
    member(log, "c2", NOON + DAY)
    made.apply(log.records)
    assert sizes(made) == [
        ("2026-01-05", "buyer:new", 1, 0), ("2026-01-05", "vip", 2, 0),
        ("2026-01-06", "buyer:loyal", 1, 0), ("2026-01-06", "buyer:new", 0, 1), ("2026-01-06", "vip", 0, 1),
    ]  # fmt: skip
    assert ask(made.engine, "select customer, name, since from members order by 2") == [
        ("c1", "buyer:loyal", NOON + DAY), ("c1", "vip", NOON),
    ]  # fmt: skip


def test_what_is_said_again_counts_once(made: Projector) -> None:
    log = Log()
    for minute in range(3):
        member(log, "c1", NOON + minute * MINUTE, "vip")
    made.apply(log.records)
    made.forget()
    made.apply(log.records)
    assert sizes(made) == [("2026-01-05", "vip", 1, 0)]


def test_somebody_who_comes_and_goes_within_a_batch_is_not_in_at_its_end(made: Projector) -> None:
    log = Log()
    member(log, "c1", NOON, "vip")
    member(log, "c1", NOON + MINUTE)
    made.apply(log.records)
    assert sizes(made) == [("2026-01-05", "vip", 1, 1)]
    assert ask(made.engine, "select * from members") == []


def changed(customer: str, tracked: Tracked | None, offset: int) -> Record:
    value = None if tracked is None else encode_hot(Customer(id=customer, now=NOON, tracked=tracked))
    return Record("customers-changelog", 0, offset, value, key=hot_key(customer))


def test_a_clusters_changelog_says_the_same(made: Projector) -> None:
    made.apply([changed("c1", Tracked(segments=("vip",), levels={"buyer": "new", "activity": ""}), 0)])
    assert ask(made.engine, "select name from members order by 1") == [("buyer:new",), ("vip",)]
    made.apply([changed("c1", Tracked(segments=("vip",)), 1), changed("c2", Tracked(segments=("vip",)), 2)])
    made.apply([changed("c1", None, 3)])
    assert ask(made.engine, "select customer, name from members") == [("c2", "vip")]
    assert ask(made.engine, "select name, sum(entered) - sum(gone) from memberships group by 1 order by 1") == [
        ("buyer:new", 0), ("vip", 1),
    ]  # fmt: skip


def test_the_map_and_funnels_count_for_everybody_and_for_each_segment(made: Projector) -> None:
    log = Log()
    member(log, "c1", NOON, "buyer:new", "vip")
    made.apply(log.records)
    for customer in ("c1", "c2"):
        log.event("product_viewed", customer, NOON)
        log.event("cart_item_added", customer, NOON + MINUTE, product_id="p1", price=1000)
    made.apply(log.records)
    visits = ask(made.engine, "select segment, name, visits, reached from nodes where name = 'product' order by 1")
    assert visits == [("", "product", 2, 2), ("buyer:new", "product", 1, 1), ("vip", "product", 1, 1)]
    ways = ask(made.engine, "select segment, n from edges where source = 'product' order by 1")
    assert ways == [("", 2), ("buyer:new", 1), ("vip", 1)]
    assert ask(made.engine, "select segment, step, n from stages order by 2, 1") == [
        ("", 1, 2), ("buyer:new", 1, 1), ("vip", 1, 1), ("", 2, 2), ("buyer:new", 2, 1), ("vip", 2, 1),
    ]  # fmt: skip


def test_a_way_counts_for_the_segments_of_the_visit_that_it_came_from(made: Projector) -> None:
    log = Log()
    log.event("product_viewed", "c1", NOON)
    made.apply(log.records)
    member(log, "c1", NOON + 1, "vip")
    made.apply(log.records)
    log.event("cart_item_added", "c1", NOON + MINUTE, product_id="p1", price=1000)
    made.apply(log.records)
    assert ask(made.engine, "select segment, source from edges where source <> ''") == [("", "product")]
    assert ask(made.engine, "select segment from nodes where name = 'basket' order by 1") == [("",), ("vip",)]


def test_what_an_event_came_from_and_what_was_switched_is_kept(made: Projector) -> None:
    from models.journal import ScenarioSwitched

    log = Log()
    log.event("product_viewed", "c1", NOON)
    log.bundle(ScenarioSwitched(id="s", scenario="cart", state="paused", at=NOON))
    log.command("m1", "c1", NOON)
    made.apply(log.records)
    assert ask(made.engine, "select arrived_at, source, source_offset from events") == [(NOON, "shop", 0)]
    assert ask(made.engine, "select kind, scenario, state, at from controls order by at") == [
        ("plan", "", "", 0), ("switch", "cart", "paused", NOON),
    ]  # fmt: skip
    assert ask(made.engine, "select valid_until, plan from commands") == [(NOON + 1, "p")]
