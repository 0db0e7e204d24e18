"""How compiled expressions reach values, and the functions on them."""

from collections.abc import Callable
from datetime import date
from typing import Any

import msgspec

from pipeline.engine.env import Env, Missing

Call = Callable[[Env], Any]


def as_date(call: Call) -> Call:
    """Reach a day that is kept as text (2026-01-31, or a time that begins so); what is none has no value."""

    def read(env: Env) -> date:
        found = call(env)
        try:
            return found if isinstance(found, date) else date.fromisoformat(found[:10])
        except (TypeError, ValueError):
            raise Missing("date") from None

    return read


def field_of(value: Any, name: str) -> Any:
    """Return a field of a record or dict; Missing where it is not there or null."""
    found = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
    if found is None:
        raise Missing(name)
    return found


def profile_field(name: str) -> Call:
    """Reach a field of the profile."""

    def call(env: Env) -> Any:
        found = getattr(env.customer.profile, name)
        if found is None:
            raise Missing(name)
        return found

    return call


def cart_field(name: str) -> Call:
    """Reach a field of the cart."""

    def call(env: Env) -> Any:
        found = getattr(env.customer.cold.cart, name)
        if found is None:
            raise Missing(name)
        return found

    return call


def attribute(name: str) -> Call:
    """Reach an attribute of the customer."""

    def call(env: Env) -> Any:
        kept = env.customer.cold.attributes.get(name)
        if kept is None or kept.value is None:
            raise Missing(name)
        return kept.value

    return call


def event_field(name: str) -> Call:
    """Reach a field of the event at hand."""

    def call(env: Env) -> Any:
        found = env.event.get(name) if env.event is not None else None
        if found is None:
            raise Missing(name)
        return found

    return call


def entry_field(name: str) -> Call:
    """Reach a field of the entry event."""

    def call(env: Env) -> Any:
        found = env.entry.get(name) if env.entry is not None else None
        if found is None:
            raise Missing(name)
        return found

    return call


def kept_field(event: str, name: str) -> Call:
    """Reach a field of an event kept under a name by `as`."""

    def call(env: Env) -> Any:
        kept = env.names.get(event)
        found = kept.get(name) if kept is not None else None
        if found is None:
            raise Missing(f"{event}.{name}")
        return found

    return call


def _ranked(counts: dict[str, int]) -> list[str]:
    return sorted(counts, key=lambda name: (-counts[name], name))


def _days_between_orders(env: Env) -> int:
    profile = env.customer.profile
    if profile.orders < 2 or profile.first_order_at is None or profile.last_order_at is None:
        raise Missing("days_between_orders")
    return (profile.last_order_at - profile.first_order_at) // (86_400_000 * (profile.orders - 1))


def _mean_basket(env: Env) -> int:
    profile = env.customer.profile
    if not profile.orders:
        raise Missing("mean_basket")
    return profile.spent // profile.orders


def _months(env: Env) -> list[int]:
    counts = env.customer.cold.months
    return [int(name) for name in sorted(counts, key=lambda name: (-counts[name], int(name)))]


def _pages(env: Env) -> dict[str, dict[str, int]]:
    pages = env.customer.cold.pages
    return {name: {"visits": visits, "time": time_ms} for name, (visits, time_ms) in pages.items()}


COMPUTED: dict[str, tuple[str, Call]] = {
    "mean_basket": ("money", _mean_basket),
    "days_between_orders": ("int", _days_between_orders),
    "top_categories": ("strings", lambda env: _ranked(env.customer.cold.categories)),
    "top_brands": ("strings", lambda env: _ranked(env.customer.cold.brands)),
    "top_products": ("strings", lambda env: _ranked(env.customer.cold.products)),
    "bought_products": ("strings", lambda env: list(env.customer.cold.bought)),
    "purchase_months": ("ints", _months),
    "pages": ("pages", _pages),
    "channels": ("counts", lambda env: env.customer.cold.channels),
    "devices": ("counts", lambda env: env.customer.cold.devices),
}


def top(items: Any, count: int, name: str) -> list[Any]:
    """Return the `count` items with the largest field, in that order; those without the field come last."""

    def rank(item: Any) -> tuple[bool, Any]:
        found = item.get(name) if isinstance(item, dict) else getattr(item, name, None)
        return (found is not None, found if found is not None else 0)

    return sorted(items, key=rank, reverse=True)[:count]


def size(value: Any) -> int:
    """Return the length of a text, list or map; bytes of a text are its characters, as in CEL."""
    return len(value)


def divide(left: int, right: int) -> int:
    """Divide as CEL does: towards zero; by zero has no value."""
    if right == 0:
        raise Missing("division by zero")
    found = abs(left) // abs(right)
    return found if (left < 0) == (right < 0) else -found


def remainder(left: int, right: int) -> int:
    """Return the remainder that goes with `divide`."""
    return left - right * divide(left, right)


def in_range(value: int) -> int:
    """Return an int that fits in 64 bits; one that does not has no value, as in CEL."""
    if not -(2**63) <= value < 2**63:
        raise Missing("overflow")
    return value


def plain(value: Any) -> Any:
    """Return a value as JSON can carry it."""
    return msgspec.to_builtins(value)
