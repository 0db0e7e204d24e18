"""What an expression read, as text that a person understands: money with its currency, times, lengths of lists."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from models.money import exponent
from models.settings import SettingsSpec
from pipeline.durations import UNITS_MS
from pipeline.engine.env import Env, Expr, Missing
from pipeline.runtime.reading import iso
from pipeline.scenario.expressions.compile import Compiler
from pipeline.scenario.expressions.parse import ExpressionError, parse
from pipeline.scenario.expressions.types import DYN, Type
from pipeline.scenario.scope import base_roots, event_types, names_of, scope_with

NOTHING = "nothing"
TEXT_MAX = 60
CALLED = frozenset({"segment", "level", "score"})


def span_text(span_ms: int) -> str:
    """Return a duration in its largest whole unit."""
    unit, size = next(
        (one, size) for one, size in sorted(UNITS_MS.items(), key=lambda row: -row[1]) if span_ms % size == 0
    )
    return f"{span_ms // size}{unit}"


def money_text(minor: int | Decimal, currency: str) -> str:
    """Return an amount of minor units."""
    digits = exponent(currency)
    return f"{Decimal(minor).scaleb(-digits):,.{digits}f} {currency}"


class Values:
    """Looks up what expressions read; one for each plan."""

    def __init__(self, settings: SettingsSpec):
        self.currency = settings.store.currency
        self._scope = scope_with(settings, base_roots(settings), names_of(settings))
        self._types = event_types(settings)
        self._known: dict[str, tuple[Callable[[Env], Any], Type] | None] = {}

    def of(self, expression: Expr, env: Env) -> dict[str, str]:
        """Return each thing that an expression reads, by name, with its value."""
        counters = {f"count.{one.key}": f"count({one.on}, {span_text(one.window_ms)})" for one in expression.counters}
        reads = sorted(read for read in expression.reads if read not in counters)
        found = {read: self._read(read, env) for read in reads}
        return found | {name: self._counted(key, env) for key, name in sorted(counters.items())}

    def _read(self, read: str, env: Env) -> str:
        root, _, name = read.partition(".")
        if read == "now":
            return iso(env.now) or NOTHING
        if root in {"event", "entry"}:
            seen = (env.event if root == "event" else env.entry) or {}
            fields = self._types[str(seen["type"])].fields if seen.get("type") in self._types else {}
            return self.text(seen.get(name), fields.get(name, DYN))
        if root in env.names:
            return self.text(env.names[root].get(name), DYN)
        looked = self._lookup(read, root, name)
        if looked is None:
            return "not shown"
        try:
            value = self.text(looked[0](env), looked[1])
        except Missing:
            return NOTHING
        # A report is passed on: what people said of themselves stays out of it.
        return f"a text of {len(value)}" if root == "customer" and looked[1].kind in {"string", "dyn"} else value

    def _lookup(self, read: str, root: str, name: str) -> tuple[Callable[[Env], Any], Type] | None:
        if read not in self._known:
            source = f'{root}("{name}")' if root in CALLED else read
            try:
                typed = Compiler(self._scope).compile(parse(source))
                self._known[read] = (typed.call, typed.type)
            except ExpressionError:
                self._known[read] = None
        return self._known[read]

    def _counted(self, key: str, env: Env) -> str:
        buckets = env.customer.tracked.counts.get(key.partition(".")[2], ())
        return f"{sum(count for _, count in buckets)} at most"

    def text(self, value: Any, kind: Type) -> str:
        """Return a value of a type as text."""
        if value is None:
            return NOTHING
        if kind.kind == "money":
            return money_text(value, self.currency)
        if kind.kind == "time":
            return iso(value) or NOTHING
        if kind.kind == "duration":
            return span_text(value)
        if isinstance(value, list | tuple | dict):
            return f"{len(value)} of them" if value else "empty"
        if isinstance(value, bool):
            return str(value).lower()
        said = str(value)
        return said if len(said) <= TEXT_MAX else said[: TEXT_MAX - 3] + "..."
