"""What a log says of the goods: who was bought with whom, how often each was bought and looked at, and since when.

Memory grows with the number of products, not with the log. An event that ingest wrote twice is counted once, as the
engine does (by its position), and one that was handed on to a known customer is counted where it was first recorded.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.catalogue import Product
from models.event import Event, Position
from models.identity import FORWARDS
from models.journal import Entry
from models.money import to_decimal
from pipeline.recommend.pairs import PairCounts

# Ids beyond these are not counted: a source that makes an id of everything must not fill the memory.
PRODUCTS_MAX = 1_000_000
# The pairs of a basket grow with its square; a wholesaler's order of hundreds says little of what goes together.
BASKET_MAX = 60
LISTED = frozenset({"cart_updated", "order_placed"})
COUNTED = LISTED | {"product_viewed", "cart_item_added"}
SAID = ("name", "category", "brand", "image", "url")


@dataclass(slots=True)
class Seen:
    """What the log says of one product; times in UTC ms. `bought` and `viewed` count within the window."""

    id: str
    number: int
    first_at: int
    orders: int = 0
    bought: int = 0
    viewed: int = 0
    said: dict[str, tuple[int, Any]] = field(default_factory=dict)


class GoodsCounts:
    """Counts entries of a journal; `since` (UTC ms) is the beginning of the window for what is popular."""

    def __init__(self, folder: Path, since: int, currency: str, products_max: int = PRODUCTS_MAX):
        self.pairs = PairCounts(folder)
        self.products: dict[str, Seen] = {}
        self.orders = 0
        self.left_out = 0
        self._since = since
        self._currency = currency
        self._products_max = products_max
        self._last: dict[tuple[str, int], tuple[int, int, int]] = {}

    def read(self, entries: Iterable[Entry], until: int | None = None) -> None:
        """Count the events before a time (UTC ms) among entries of one journal partition, which come in its order."""
        for one in entries:
            if not isinstance(one, Event) or one.type not in COUNTED:
                continue
            if (until is None or one.at < until) and self._is_first(one.position):
                self._count(one)

    def _is_first(self, position: Position) -> bool:
        if position.source == FORWARDS:
            return False
        key, place = (position.source, position.partition), (position.epoch, position.offset, position.index)
        if place <= self._last.get(key, (-1, 0, 0)):
            return False
        self._last[key] = place
        return True

    def next_partition(self) -> None:
        """Begin another journal partition: its positions are its own."""
        self._last = {}

    def _count(self, event: Event) -> None:
        found = [one for one in (self._product(line, event) for line in _lines(event)) if one is not None]
        recent = event.at >= self._since
        if event.type == "order_placed":
            basket = list({one.number: one for one in found}.values())
            self.orders += 1
            for one in basket:
                one.orders += 1
                one.bought += recent
            self.pairs.add([one.number for one in basket[:BASKET_MAX]])
        elif event.type == "product_viewed":
            for one in found:
                one.viewed += recent

    def _product(self, line: Mapping[str, Any], event: Event) -> Seen | None:
        name = line.get("product_id")
        if not name:
            return None
        found = self.products.get(name)
        if found is None:
            if len(self.products) >= self._products_max:
                self.left_out += 1
                return None
            found = self.products[name] = Seen(name, len(self.products), event.at)
        found.first_at = min(found.first_at, event.at)
        for field_name in SAID:
            value = line.get(field_name)
            if value is not None:
                _newer(found, field_name, event.at, value)
        price = line.get("price")
        if price is not None and event.data.get("currency", self._currency) == self._currency:
            _newer(found, "price", event.at, price)
        return found

    def product(self, seen: Seen) -> Product:
        """Return what the events said last of a product."""
        said = {name: value for name, (_, value) in seen.said.items()}
        if "price" in said:
            said["price"] = to_decimal(said["price"], self._currency)
        return Product(product_id=seen.id, **said)


def _newer(found: Seen, name: str, at: int, value: Any) -> None:
    """Keep the last word by time; at one instant the larger, so that the order of reading decides nothing."""
    before = found.said.get(name)
    if before is None or (at, value) > before:
        found.said[name] = (at, value)


def _lines(event: Event) -> Iterator[Mapping[str, Any]]:
    if event.type in LISTED:
        yield from event.data.get("items", ())
    else:
        yield event.data
