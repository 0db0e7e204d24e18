"""Counts to the catalogue's lists.

*Related*: with A goes B by both² / orders of B (the square of the cosine of the two, A's own orders being the same for
all): what is in every basket goes with nothing for that alone. At least TOGETHER_MIN orders must have had both.
*Popular*: by orders in the window, then by views. *New*: seen for the first time within the last `new_ms`, the newest
first; a log that is not longer than that cannot tell new from old, and gives none. Ties go by id.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from models.catalogue import ANY, ListKind, Product, Ranking
from pipeline.recommend.counting import GoodsCounts, Seen

# A message shows a few; twice as many are kept for those that are bought already, or gone.
LIST_MAX = 48
# Chance puts any two things into one order.
TOGETHER_MIN = 2
Row = Product | Ranking


@dataclass(frozen=True)
class Span:
    """The log's first and last moment (UTC ms), and how long a product counts as new."""

    first: int
    last: int
    new_ms: int


def rows_of(counts: GoodsCounts, span: Span, *, with_products: bool) -> Iterator[Row]:
    """Yield the rows of the catalogue: products (where wanted) by id, then the lists by kind and what they are of."""
    if with_products:
        for name in sorted(counts.products):
            yield counts.product(counts.products[name])
    yield from sorted(related(counts), key=lambda row: row.of)
    yield from _by_category("new", new(counts, span))
    yield from _by_category("popular", popular(counts))


def related(counts: GoodsCounts) -> Iterator[Ranking]:
    """Yield what goes with each product."""
    seen = {one.number: one for one in counts.products.values()}
    for first, others in counts.pairs.by_first():
        # Whole numbers alone: both² * 10^9 / orders keeps nine digits of the quotient.
        scored = [
            (-(both * both * 10**9 // seen[other].orders), seen[other].id)
            for other, both in others
            if both >= TOGETHER_MIN
        ]
        if scored:
            yield Ranking(
                list="related", of=seen[first].id, products=tuple(name for _, name in sorted(scored)[:LIST_MAX])
            )


def new(counts: GoodsCounts, span: Span) -> list[Seen]:
    """Return the new products, the newest first."""
    since = span.last - span.new_ms
    if span.first >= since:
        return []
    found = [one for one in counts.products.values() if one.first_at >= since]
    return sorted(found, key=lambda one: (-one.first_at, one.id))


def popular(counts: GoodsCounts) -> list[Seen]:
    """Return what was bought or looked at in the window, the most bought first."""
    found = [one for one in counts.products.values() if one.bought or one.viewed]
    return sorted(found, key=lambda one: (-one.bought, -one.viewed, one.id))


def _by_category(kind: ListKind, ranked: list[Seen]) -> Iterator[Ranking]:
    """Yield the list of the whole store, and that of each category."""
    lists: dict[str, list[str]] = {}
    for one in ranked:
        _, category = one.said.get("category", (0, None))
        for of in (ANY, *((category,) if category else ())):
            held = lists.setdefault(of, [])
            if len(held) < LIST_MAX:
                held.append(one.id)
    for of in sorted(lists):
        yield Ranking(list=kind, of=of, products=tuple(lists[of]))
