"""The catalogue's lists against naive counts: on generated orders, and on a part of a real shop's year."""

import csv
import gzip
import itertools
import json
import tempfile
from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.catalogue import Product, Ranking
from models.event import Event
from pipeline.recommend.counting import BASKET_MAX, GoodsCounts
from pipeline.recommend.lists import LIST_MAX, TOGETHER_MIN, Span, rows_of
from pipeline.recommend.pairs import PairCounts
from tests.acceptance.running import RETAIL, parcours
from tests.engine.build import DAY, T0, event

SPAN = Span(first=T0, last=T0 + 100 * DAY, new_ms=30 * DAY)


def counted(*events: Event, since: int = T0, products_max: int = 1_000) -> GoodsCounts:
    with tempfile.TemporaryDirectory() as folder:
        counts = GoodsCounts(Path(folder), since, "EUR", products_max)
        counts.read(_placed(events))
        return counts


def _placed(events: tuple[Event, ...]) -> list[Event]:
    from msgspec.structs import replace

    return [replace(one, position=replace(one.position, offset=number)) for number, one in enumerate(events)]


def lists(counts: GoodsCounts, span: Span = SPAN) -> dict[tuple[str, str], tuple[str, ...]]:
    rows = rows_of(counts, span, with_products=False)
    return {(row.list, row.of): row.products for row in rows if isinstance(row, Ranking)}


def order(at: int, *products: str, **more: Any) -> Event:
    items = [{"product_id": one, **more} for one in products]
    return event("order_placed", at, order_id=str(at), items=items, salt=",".join(products))


def naive(baskets: list[list[str]]) -> dict[tuple[str, str], tuple[str, ...]]:
    """Count pairs and orders without any care for memory."""
    orders: Counter[str] = Counter()
    together: dict[str, Counter[str]] = defaultdict(Counter)
    for basket in baskets:
        products = list(dict.fromkeys(basket))
        orders.update(products)
        for one, other in itertools.permutations(products[:BASKET_MAX], 2):
            together[one][other] += 1
    found = {}
    for one, others in together.items():
        kept = [(-(n * n * 10**9 // orders[other]), other) for other, n in others.items() if n >= TOGETHER_MIN]
        if kept:
            found["related", one] = tuple(name for _, name in sorted(kept)[:LIST_MAX])
    return found


BASKETS = st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=5), max_size=30)


@given(BASKETS)
@settings(max_examples=100, deadline=None)
def test_what_is_bought_together_equals_a_naive_count(baskets: list[list[str]]) -> None:
    events = [order(T0 + number, *basket) for number, basket in enumerate(baskets)]
    found = {key: value for key, value in lists(counted(*events)).items() if key[0] == "related"}
    assert found == naive(baskets)


@given(st.lists(st.lists(st.integers(0, 2**32 - 1), max_size=4, unique=True), max_size=30), st.integers(1, 20))
@settings(max_examples=100, deadline=None)
def test_pairs_that_do_not_fit_in_memory_are_counted_all_the_same(baskets: list[list[int]], held_max: int) -> None:
    wanted = Counter(pair for basket in baskets for pair in itertools.permutations(basket, 2))
    with tempfile.TemporaryDirectory() as folder:
        counts = PairCounts(Path(folder), held_max)
        for basket in baskets:
            counts.add(basket)
        found = {(first, second): n for first, others in counts.by_first() for second, n in others}
        assert len(list(Path(folder).iterdir())) > 0 or len(wanted) < held_max + 12
    assert found == dict(wanted)


def test_what_is_in_every_basket_goes_with_nothing_for_that_alone() -> None:
    baskets = [("bag", "cup", "saucer")] * 3 + [("bag", str(number)) for number in range(20)]
    found = lists(counted(*(order(T0 + n, *basket) for n, basket in enumerate(baskets))))
    assert found["related", "cup"] == ("saucer", "bag")


def test_one_order_makes_no_pair() -> None:
    assert not [key for key in lists(counted(order(T0, "a", "b"))) if key[0] == "related"]


def test_popular_is_what_was_bought_in_the_window_then_what_was_looked_at() -> None:
    late = T0 + 90 * DAY
    events = [
        *(order(T0 + n, "old", category="x") for n in range(5)),
        *(order(late + n, "cup", category="x") for n in range(2)),
        order(late + 9, "jug", category="y"),
        event("product_viewed", late, product_id="lamp", category="y"),
        event("cart_item_added", late, product_id="idle", category="y"),
    ]
    found = lists(counted(*events, since=T0 + 10 * DAY))
    assert found["popular", ""] == ("cup", "jug", "lamp")
    assert (found["popular", "x"], found["popular", "y"]) == (("cup",), ("jug", "lamp"))


def test_new_is_what_was_first_seen_lately_the_newest_first() -> None:
    events = [
        order(T0, "old", category="x"),
        order(T0 + 80 * DAY, "old", "cup", category="x"),
        event("product_viewed", T0 + 90 * DAY, product_id="lamp", category="y"),
    ]
    found = lists(counted(*events))
    assert found["new", ""] == ("lamp", "cup")
    assert found["new", "x"] == ("cup",)


def test_a_log_that_is_not_longer_than_new_cannot_tell_what_is_new() -> None:
    short = Span(first=T0, last=T0 + 30 * DAY, new_ms=30 * DAY)
    assert not [key for key in lists(counted(order(T0 + DAY, "cup")), short) if key[0] == "new"]


def test_the_last_word_on_a_product_counts_in_whatever_order_it_is_read() -> None:
    said = [
        event("product_viewed", T0 + 2, product_id="cup", name="Cup", price=1250, category="kitchen"),
        event("product_viewed", T0 + 1, product_id="cup", name="Kup", image="https://shop.example/cup.jpg"),
        order(T0 + 3, "cup", price=999, currency="EUR"),
        event("product_viewed", T0 + 4, product_id="cup", price=10, currency="USD"),
    ]
    for events in itertools.permutations(said):
        [product] = [one for one in rows_of(counted(*events), SPAN, with_products=True) if isinstance(one, Product)]
        assert product == Product(
            product_id="cup",
            name="Cup",
            price=Decimal("9.99"),
            category="kitchen",
            image="https://shop.example/cup.jpg",
        )


def test_an_event_that_was_written_twice_or_handed_on_counts_once() -> None:
    from msgspec.structs import replace

    one = order(T0, "a", "b")
    handed_on = replace(one, position=replace(one.position, source="forwards"))
    with tempfile.TemporaryDirectory() as folder:
        counts = GoodsCounts(Path(folder), T0, "EUR")
        counts.read([one, one, handed_on])
        assert counts.orders == 1
        counts.next_partition()
        counts.read([one])
        assert counts.orders == 2


def test_products_beyond_the_bound_are_left_out_and_said() -> None:
    counts = counted(order(T0, "a", "b", "c"), order(T0 + 1, "a", "b", "c"), products_max=2)
    assert (sorted(counts.products), counts.left_out) == (["a", "b"], 2)
    assert lists(counts)["related", "a"] == ("b",)


LINES = 40_000


@pytest.mark.data
@pytest.mark.skipif(not RETAIL.exists(), reason=f"the real store data is not at {RETAIL}")
def test_a_real_shops_lists_equal_a_naive_count(tmp_path: Path) -> None:
    part = tmp_path / "part.csv.gz"
    with gzip.open(RETAIL, "rt", newline="", encoding="utf-8", errors="replace") as file:
        head = list(itertools.islice(file, LINES))
    with gzip.open(part, "wt", newline="", encoding="utf-8", compresslevel=1) as file:
        file.writelines(head)
    out = tmp_path / "lists.ndjson"
    words = ("--input", part, "--mapping", "uci-retail", "--plan", "scenarios", "--out", out, "--window", "365d")
    done = parcours("recommend", *words)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    found = {("related", row["of"]): tuple(row["products"]) for row in rows if row.get("list") == "related"}
    baskets: dict[tuple[str, str], list[str]] = {}
    for row in csv.DictReader(head):
        if row["CustomerID"] and not row["InvoiceNo"].startswith("C"):
            baskets.setdefault((row["InvoiceNo"], row["CustomerID"]), []).append(row["StockCode"])
    assert len(found) > 1_000
    assert found == naive(list(baskets.values()))
    bought = Counter(product for basket in baskets.values() for product in dict.fromkeys(basket))
    [popular] = [row["products"] for row in rows if row.get("list") == "popular"]
    assert popular == [name for name, _ in sorted(bought.items(), key=lambda one: (-one[1], one[0]))[:LIST_MAX]]
