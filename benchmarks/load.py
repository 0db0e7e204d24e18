"""A seeded load: native records of a busy store, the same for every run and every peer.

The mix is that of a clickstream with its trade: of 1,000 events 874 product views, 70 additions to a cart, 20 whole
carts, 12 orders, 4 sign-ups, 20 opens of mails. Customers are drawn evenly, so that the working set is all of them.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import orjson

MIX = (
    ("product_viewed", 874),
    ("cart_item_added", 70),
    ("cart_updated", 20),
    ("order_placed", 12),
    ("customer_signed_up", 4),
    ("message_opened", 20),
)
TOPIC_OF = {
    "product_viewed": "page-views",
    "cart_item_added": "cart-updates",
    "cart_updated": "cart-updates",
    "order_placed": "orders",
    "customer_signed_up": "customers",
    "message_opened": "email-opens",
}
CATEGORIES = ("garden", "kitchen", "toys", "books", "lamps", "shoes", "sport", "music")


@dataclass(frozen=True)
class Record:
    """One source record: topic, key and value as a store would write them."""

    topic: str
    key: bytes
    value: bytes


def _data(kind: str, number: int, dice: random.Random) -> dict[str, object]:
    product = f"p{dice.randrange(5_000)}"
    price = dice.randrange(500, 20_000) / 100
    category = CATEGORIES[number % len(CATEGORIES)]
    if kind == "product_viewed":
        return {"product_id": product, "category": category, "price": price, "device": "mobile", "channel": "web"}
    if kind == "cart_item_added":
        return {"product_id": product, "category": category, "price": price}
    if kind == "cart_updated":
        return {"items": [{"product_id": product, "price": price, "quantity": 1}], "url": "https://shop.example/cart"}
    if kind == "order_placed":
        return {"order_id": f"o{number}", "items": [{"product_id": product, "price": price, "category": category}]}
    if kind == "customer_signed_up":
        consents = [{"for_channel": "email", "purpose": "marketing", "given": True}]
        return {"email": f"c{number}@shop.example", "consents": consents}
    return {"command_id": f"{number:032x}"}


def records(count: int, customers: int, seed: int, start_ms: int, per_second: int) -> Iterator[Record]:
    """Yield `count` records of `customers` customers, `per_second` of them in each second from `start_ms` (UTC ms)."""
    dice = random.Random(seed)
    kinds = dice.choices([kind for kind, _ in MIX], [share for _, share in MIX], k=count)
    for number, kind in enumerate(kinds):
        customer = f"c{dice.randrange(customers)}"
        at = start_ms + number * 1000 // per_second
        body = {"type": kind, "id": f"{seed}-{number}", "customer": customer, "occurred_at": at}
        yield Record(TOPIC_OF[kind], customer.encode(), orjson.dumps(body | _data(kind, number, dice)))


def first_views(customers: int, start_ms: int) -> Iterator[Record]:
    """Yield one product view of every customer in turn."""
    dice = random.Random(0)
    for number in range(customers):
        body = {"type": "product_viewed", "id": f"f-{number}", "customer": f"c{number}", "occurred_at": start_ms}
        value = orjson.dumps(body | _data("product_viewed", number, dice))
        yield Record(TOPIC_OF["product_viewed"], f"c{number}".encode(), value)
