"""What a customer looks at and buys: bounded counts by the Space-Saving rule (Metwally, Agrawal, El Abbadi 2005)."""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from models.customer import Cold
from models.event import Event
from pipeline.engine.local_time import local, zone_of
from pipeline.engine.plan import Settings

# A shop's reports show ten; sixteen leaves room for the error of the rule.
COUNTED_MAX = 16
BOUGHT_MAX = 50


def counted(counts: dict[str, int], key: str) -> dict[str, int]:
    """Count a key; when the table is full the least counted (first by name) makes room and hands on its count."""
    if key in counts or len(counts) < COUNTED_MAX:
        found = counts.copy()
        found[key] = found.get(key, 0) + 1
        return found
    least = min(counts, key=lambda name: (counts[name], name))
    kept = {name: count for name, count in counts.items() if name != least}
    kept[key] = counts[least] + 1
    return kept


def _lines(event: Event) -> Iterable[Mapping[str, Any]]:
    if event.type == "order_placed":
        items: list[dict[str, Any]] = event.data.get("items", [])
        return items
    return (event.data,)


LOOKS = frozenset({"product_viewed", "cart_item_added", "order_placed"})


def update(cold: Cold, event: Event, settings: Settings) -> Cold:
    """Count categories, brands and products that were looked at, put in a cart or bought; devices, months."""
    changes: dict[str, Any] = {}
    data = event.data
    channel, device = data.get("channel"), data.get("device")
    if channel and not event.type.startswith("message_"):
        changes["channels"] = counted(cold.channels, channel)
    if device:
        changes["devices"] = counted(cold.devices, device)
    if event.type in LOOKS:
        tables = {"category": cold.categories, "brand": cold.brands, "product_id": cold.products}
        for line in _lines(event):
            for name, table in tables.items():
                value = line.get(name)
                if value:
                    tables[name] = counted(table, value)
        changes |= {"categories": tables["category"], "brands": tables["brand"], "products": tables["product_id"]}
    if event.type == "order_placed":
        new = [line["product_id"] for line in _lines(event)]
        kept = [product for product in cold.bought if product not in new]
        month = str(local(event.at, zone_of(cold, settings)).month)
        changes["months"] = {**cold.months, month: cold.months.get(month, 0) + 1}
        changes["bought"] = tuple(dict.fromkeys([*kept, *new]))[-BOUGHT_MAX:]
    return replace(cold, **changes) if changes else cold
