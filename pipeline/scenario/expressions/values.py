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


def equal(left: Any, right: Any) -> bool:
    """Say whether two values of any type are equal, as CEL says it: true is not 1."""
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(equal(one, other) for one, other in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(value, right[key]) for key, value in left.items())
    return bool(left == right)


def differ(left: Any, right: Any) -> bool:
    """Say whether two values of any type are not equal."""
    return not equal(left, right)


def holds(items: Any, value: Any) -> bool:
    """Say whether a list has a value, or a map a key."""
    return any(equal(item, value) for item in items)


def made_map(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """Return a map; keys are texts, whole numbers or true and false, each once, or it has no value."""
    found = dict(pairs)
    if len(found) < len(pairs) or any(not isinstance(key, str | int) for key in found):
        raise Missing("map")
    return found


def whole(value: Any) -> int:
    """Return a number or text as a whole number; beyond 64 bits it has no value."""
    if isinstance(value, float) and not -(2.0**63) < value < 2.0**63:
        raise Missing("overflow")
    return in_range(int(value))


def truth(value: Any) -> bool:
    """Return what a text says, in the spellings that CEL knows."""
    if isinstance(value, bool):
        return value
    if value in {"1", "t", "true", "TRUE", "True"}:
        return True
    if value in {"0", "f", "false", "FALSE", "False"}:
        return False
    raise Missing("bool")


def divide(left: int, right: int) -> int:
    """Divide as CEL does: towards zero; by zero has no value."""
    if right == 0:
        raise Missing("division by zero")
    found = abs(left) // abs(right)
    return found if (left < 0) == (right < 0) else -found


def remainder(left: int, right: int) -> int:
    """Return the remainder that goes with `divide`."""
    return left - right * divide(left, right)


def negative(value: Any) -> Any:
    """Return the number of the other sign."""
    try:
        return in_range(-value) if isinstance(value, int) else -value
    except TypeError:
        raise Missing("types") from None


def in_range(value: int) -> int:
    """Return an int that fits in 64 bits; one that does not has no value, as in CEL."""
    if not -(2**63) <= value < 2**63:
        raise Missing("overflow")
    return value


def plain(value: Any) -> Any:
    """Return a value as JSON can carry it."""
    return msgspec.to_builtins(value)
