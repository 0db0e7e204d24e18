"""Values as a person reads them: money in its currency, times in ISO 8601, spans in days and hours."""

from typing import Any

import msgspec

from models.customer import NEVER
from models.money import to_decimal
from pipeline.durations import UNITS_MS
from pipeline.replay.guards import NO_VALUE, Guard, Value
from pipeline.runtime.reading import iso

LENGTH_MAX = 120
PARTS_MAX = 2


def span(milliseconds: int) -> str:
    """Return a span of time in its two largest units: "2d 3h"."""
    if milliseconds == 0:
        return "0s"
    sign, left, parts = "-" if milliseconds < 0 else "", abs(milliseconds), list[str]()
    for unit in ("d", "h", "m", "s", "ms"):
        count, left = divmod(left, UNITS_MS[unit])
        if count and len(parts) < PARTS_MAX:
            parts.append(f"{count}{unit}")
    return sign + " ".join(parts)


def moment(at: int | None) -> str:
    """Return a time (UTC ms); "never" where none comes."""
    return "never" if at is None or at >= NEVER else iso(at) or "never"


def value_text(value: Any, kind: str, currency: str) -> str:
    """Return a value of an expression."""
    if kind == "money" and isinstance(value, int):
        return f"{to_decimal(value, currency):,} {currency}"
    if kind == "time" and isinstance(value, int):
        return moment(value)
    if kind == "duration" and isinstance(value, int):
        return span(value)
    text = msgspec.json.encode(value, enc_hook=str).decode()
    return text if len(text) <= LENGTH_MAX else text[: LENGTH_MAX - 1] + "…"


def term_text(value: Value, currency: str) -> str:
    """Return a term with what it was."""
    said = NO_VALUE if value.missing else value_text(value.value, value.kind, currency)
    return f"{value.text} = {said}"


def guard_text(guard: Guard, currency: str) -> str:
    """Return a condition, whether it held, and its values."""
    if guard.place == "date":
        return ", ".join(term_text(one, currency) for one in guard.values)
    held = {True: "holds", False: "does not hold", None: f"has no value ({guard.missing})"}[guard.held]
    values = ", ".join(term_text(one, currency) for one in guard.values)
    return f"{guard.source}  {held}" + (f"  ({values})" if values else "")
