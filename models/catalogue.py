"""The store's catalogue as senders read it: products, and lists of products; a topic or a file holds one of each a row.

The topic `products` is compacted. A product's key is its id, a list's what `list_key` says: a newer one replaces it.
"""

from decimal import Decimal
from typing import Literal

import msgspec

ListKind = Literal["related", "new", "popular"]
# What customers of every category are offered.
ANY = ""


class Product(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One article as it is now; the price in the store's currency. `stock` 0, or `in_stock` false: it is gone."""

    product_id: str
    name: str | None = None
    price: Decimal | None = None
    category: str | None = None
    brand: str | None = None
    image: str | None = None
    url: str | None = None
    in_stock: bool = True
    stock: int | None = None

    @property
    def gone(self) -> bool:
        """Say whether it cannot be bought now."""
        return not self.in_stock or (self.stock is not None and self.stock <= 0)


class Ranking(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A list, best first: `related` of a product (bought together), `new` or `popular` of a category (ANY: of all)."""

    list: ListKind
    products: tuple[str, ...]
    of: str = ANY

    @property
    def key(self) -> str:
        """Its key on the topic."""
        return list_key(self.list, self.of)


def list_key(kind: str, of: str) -> str:
    """Return the key of a list on the topic; no product's id begins so."""
    return f"list/{kind}/{of}"


def list_named(key: str) -> tuple[str, str]:
    """Return the kind of list that a key names and what it is of; no kind for a product's key."""
    start, _, rest = key.partition("/")
    kind, sign, of = rest.partition("/")
    return (kind, of) if start == "list" and sign else ("", "")
