"""What a message may show of the store's goods, as the catalogue is when it is rendered.

Three uses. *Lookups*: a command asks (`related`, `popular` …) and gets products in stock, each at most once, none that
the command excludes. *Items* that a command brings along (those with a `product_id`) get what the event did not say:
name, picture, address; in marketing the catalogue's word, the price too, replaces the event's, while a confirmation
keeps what was bought as it was bought. *Stock*: of a command that requires it, goods that are gone are left out.

A product that the catalogue does not know is not offered, and counts as in stock: it may be newer than the catalogue.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Any, Protocol

from msgspec.structs import replace

from models.catalogue import ANY, Product, Ranking
from models.command import Command, Lookup
from models.money import to_minor

SHOWN = ("name", "category", "brand", "image", "url")
IN_STOCK = "in_stock"
Ranked = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Catalogue:
    """The goods at one moment: products by id, lists by what they are of. `version` names the moment."""

    version: str = ""
    products: Mapping[str, Product] = field(default_factory=dict)
    related: Ranked = field(default_factory=dict)
    new: Ranked = field(default_factory=dict)
    popular: Ranked = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Iterable[Product | Ranking], version: str) -> "Catalogue":
        """Return the catalogue of rows; of two with the same name the later one counts."""
        products: dict[str, Product] = {}
        lists: dict[str, dict[str, tuple[str, ...]]] = {"related": {}, "new": {}, "popular": {}}
        for row in rows:
            if isinstance(row, Product):
                products[row.product_id] = row
            else:
                lists[row.list][row.of] = row.products
        return cls(version, products, lists["related"], lists["new"], lists["popular"])

    def fill(self, command: Command, currency: str) -> Command:
        """Return a command whose data has what it asks of the catalogue, and its items as the catalogue knows them."""
        data = {name: self._known(value, command, currency) for name, value in command.data.items()}
        found = {name: self._found(ask, command, currency) for name, ask in command.lookups.items()}
        return replace(command, data={**data, **found}, lookups={})

    def gone(self, command: Command) -> bool:
        """Say whether a command that requires stock has goods, and all of them are gone."""
        if IN_STOCK not in command.require:
            return False
        goods = list(_goods(command))
        return bool(goods) and all(self._is_gone(one) for one in goods)

    def _is_gone(self, name: Any) -> bool:
        product = self.products.get(name) if isinstance(name, str) else None
        return product is not None and product.gone

    def _left_out(self, value: Any, command: Command) -> bool:
        return IN_STOCK in command.require and isinstance(value, dict) and self._is_gone(value.get("product_id"))

    def _known(self, value: Any, command: Command, currency: str) -> Any:
        if isinstance(value, list):
            return [self._item(one, command, currency) for one in value if not self._left_out(one, command)]
        return None if self._left_out(value, command) else self._item(value, command, currency)

    def _item(self, item: Any, command: Command, currency: str) -> Any:
        product = self.products.get(item["product_id"]) if _is_item(item) else None
        if product is None:
            return item
        shown = shown_of(product, currency)
        return {**item, **shown} if command.purpose == "marketing" else {**shown, **item}

    def _found(self, ask: Lookup, command: Command, currency: str) -> Any:
        if ask.ask == "product":
            product = self.products.get(ask.products[0]) if ask.products else None
            if product is None or (product.gone and IN_STOCK in command.require):
                return None
            return shown_of(product, currency)
        return [shown_of(self.products[one], currency) for one in self._offered(ask)[: ask.count]]

    def _offered(self, ask: Lookup) -> list[str]:
        without = {*ask.without, *(ask.products if ask.ask == "related" else ())}
        wanted = dict.fromkeys(one for one in self._candidates(ask) if one not in without)
        return [one for one in wanted if one in self.products and not self.products[one].gone]

    def _candidates(self, ask: Lookup) -> Iterable[str]:
        match ask.ask:
            case "related":
                return _in_turn(self.related.get(one, ()) for one in ask.products)
            case "favourites":
                return ask.products
            case "new_products":
                return _in_turn(self.new.get(one, ()) for one in ask.categories or [ANY])
            case "popular":
                own = _in_turn(self.popular.get(one, ()) for one in ask.categories)
                return chain(own, self.popular.get(ANY, ()))
        return ()


def _is_item(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("product_id"), str)


def is_about_goods(command: Command) -> bool:
    """Say whether a command has something that a catalogue could know."""
    return bool(command.lookups) or any(True for _ in _goods(command))


def _goods(command: Command) -> Iterator[str]:
    """Yield the products that a command is about: its items, and the one that it asks for by id."""
    for value in command.data.values():
        for one in value if isinstance(value, list) else [value]:
            if _is_item(one):
                yield one["product_id"]
    for ask in command.lookups.values():
        if ask.ask == "product":
            yield from ask.products


def _in_turn(lists: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Yield the best of each list, then the second of each, and so on."""
    return (one for row in zip_longest(*lists) for one in row if one is not None)


def shown_of(product: Product, currency: str) -> dict[str, Any]:
    """Return a product as templates see it: an item's fields, the price in minor units; what is unknown is absent."""
    found: dict[str, Any] = {"product_id": product.product_id}
    found |= {name: getattr(product, name) for name in SHOWN if getattr(product, name) is not None}
    if product.price is not None:
        found["price"] = to_minor(product.price, currency)
    found["in_stock"] = not product.gone
    return found


class Goods(Protocol):
    """Where the catalogue comes from: a topic or files."""

    def now(self) -> Catalogue:
        """Return the catalogue as it is now; an empty one where the store has none."""


class NoGoods:
    """A store without a catalogue."""

    def now(self) -> Catalogue:
        """Return an empty catalogue."""
        return NOTHING


NOTHING = Catalogue()
