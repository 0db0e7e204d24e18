"""Functions on the customer's state: segments, levels, scores, counts in a window, consent, scenarios, years."""

from collections.abc import Callable
from datetime import date
from typing import Any

from models.command import CHANNELS
from models.customer import NEVER
from models.ids import digest
from pipeline.engine import counts, scores
from pipeline.engine.env import Counter, Env, Expr, Missing
from pipeline.engine.local_time import local, moment_of, zone_of
from pipeline.engine.person import ADDRESS_OF, address_of, consents_to
from pipeline.engine.rules import ScoreRule
from pipeline.scenario.expressions import arguments
from pipeline.scenario.expressions.compile import Compiler, Scope
from pipeline.scenario.expressions.parse import ExpressionError, Node
from pipeline.scenario.expressions.timing import Motion
from pipeline.scenario.expressions.typed import Typed
from pipeline.scenario.expressions.types import BOOL, DATE, INT, STRING

PURPOSES = ("marketing", "transactional", "internal")


def _segment(compiler: Compiler, node: Node) -> Typed:
    arguments.count(node, 1)
    name = arguments.name(node, 0, "segment", compiler.scope.names.segments)
    compiler.reads.add(f"segment.{name}")
    return Typed(lambda env: name in env.customer.tracked.segments, BOOL)


def _level(compiler: Compiler, node: Node) -> Typed:
    arguments.count(node, 1)
    levels = compiler.scope.names.levels
    name = arguments.name(node, 0, "level", levels)
    compiler.reads.add(f"level.{name}")
    return Typed(lambda env: env.customer.tracked.levels.get(name, ""), STRING, choices=tuple(levels[name]))


def _rule(env: Env, name: str) -> ScoreRule:
    rule: ScoreRule | None = env.settings.definitions.scores.get(name)
    if rule is None:
        raise Missing(name)
    return rule


def _score(compiler: Compiler, node: Node) -> Typed:
    """Whole points, rounded down."""
    arguments.count(node, 1)
    known = compiler.scope.names.scores
    name = arguments.name(node, 0, "score", known)
    read = compiler.read(f"score.{name}")

    def call(env: Env) -> int:
        return scores.value_at(env.customer.tracked, _rule(env, name), env.now) // scores.POINT

    def crossing(env: Env, number: int) -> int:
        return scores.falls_below(env.customer.tracked, _rule(env, name), number, env.now)

    if not known[name]:
        return Typed(call, INT, probe=read)
    owed = compiler.timing.owe("score()", lambda env: crossing(env, call(env)))
    return Typed(call, INT, motion=Motion(None, owed, crossing), probe=read)


def _window(compiler: Compiler, counter: Counter, buckets: Callable[[Env], counts.Buckets]) -> Typed:
    """Return the count of a counter whose buckets are found by a function."""
    read = compiler.read(f"count.{counter.key}")
    compiler.counters[counter.key] = counter
    window_ms = counter.window_ms

    def call(env: Env) -> int:
        return counts.count_of(buckets(env), window_ms, env.now)

    def crossing(env: Env, number: int) -> int:
        return counts.falls_below(buckets(env), window_ms, number, env.now)

    owed = compiler.timing.owe("a count", lambda env: crossing(env, call(env)))
    return Typed(call, INT, motion=Motion(None, owed, crossing), probe=read)


def shape(node: Node) -> str:
    """Return a tree as a text that no place or spelling of it changes."""
    return f"{node.kind}:{node.value!r}({','.join(shape(part) for part in node.parts)})"


def _condition(compiler: Compiler, node: Node, kind: str) -> tuple[Expr, str]:
    """Compile a condition on the counted event alone."""
    inner = Compiler(Scope({"event": compiler.scope.names.events[kind]}, compiler.scope.currency))
    try:
        typed = inner.compile(node)
    except ExpressionError as error:
        if error.message.startswith("unknown name"):
            raise ExpressionError(f"{error.message}: the condition sees `event` alone", error.offset) from None
        raise
    if typed.type.kind not in {"bool", "dyn"}:
        raise ExpressionError(f"a condition is needed here, this is a {typed.type}", node.offset)
    if inner.timing.owed or inner.timing.whens:
        raise ExpressionError("a condition on an event that is counted does not change with time", node.offset)
    return Expr("counted", typed.call, frozenset(inner.reads)), shape(node)


def _key(*parts: str) -> str:
    return digest("counter", *parts)[:10]


def _count(compiler: Compiler, node: Node) -> Typed:
    arguments.count(node, 2, 3)
    kind = arguments.name(node, 0, "event", compiler.scope.names.events)
    window_ms = arguments.span(node, 1)
    where, text = _condition(compiler, node.parts[2], kind) if len(node.parts) == 3 else (None, "")
    key = _key("count", kind, str(window_ms), text)
    counter = Counter(key=key, on=kind, window_ms=window_ms, where=where)
    return _window(compiler, counter, lambda env: env.customer.tracked.counts.get(key, ()))


def _count_same(compiler: Compiler, node: Node) -> Typed:
    """Count the events of a type with the value that the event at hand (else the entry) has in a field."""
    arguments.count(node, 3)
    kind = arguments.name(node, 0, "event", compiler.scope.names.events)
    field = arguments.name(node, 1, "field", compiler.scope.names.events[kind].fields)
    window_ms = arguments.span(node, 2)
    roots = compiler.scope.roots
    root = next((one for one in ("event", "entry") if one in roots and field in roots[one].fields), None)
    if root is None:
        raise ExpressionError(f"count_same() needs an event at hand with a field {field!r}", node.offset)
    compiler.reads.add(f"{root}.{field}")
    key = _key("same", kind, str(window_ms), field)

    def buckets(env: Env) -> counts.Buckets:
        seen = env.event if root == "event" else env.entry
        value = seen.get(field) if seen is not None else None
        if value is None:
            raise Missing(field)
        return env.customer.cold.same.get(key, {}).get(counts.named(value), ())

    return _window(compiler, Counter(key=key, on=kind, window_ms=window_ms, by=field), buckets)


def _count_sent(compiler: Compiler, node: Node) -> Typed:
    """Count the commands of a step: of this scenario, or of "scenario/step"."""
    arguments.count(node, 2)
    said = arguments.text(node, 0, "the name of a send")
    own = compiler.scope.names.scenario
    if "/" not in said and not own:
        raise ExpressionError("count_sent() needs its send as 'scenario/step' here", node.parts[0].offset)
    scenario, step = said.rsplit("/", 1) if "/" in said else (own, said)
    window_ms = arguments.span(node, 1)
    kind = f"sent:{scenario}/{step}"
    key = _key("sent", kind, str(window_ms))
    compiler.reads.add(f"sent.{scenario}/{step}")
    counter = Counter(key=key, on=kind, window_ms=window_ms)
    return _window(compiler, counter, lambda env: env.customer.tracked.counts.get(key, ()))


def _inside(compiler: Compiler, node: Node) -> Typed:
    arguments.count(node, 1)
    name = arguments.name(node, 0, "scenario", compiler.scope.names.scenarios)
    compiler.reads.add(f"inside.{name}")
    return Typed(lambda env: any(one.scenario == name and not one.closing for one in env.customer.enrolments), BOOL)


def _reachable(compiler: Compiler, node: Node) -> Typed:
    arguments.count(node, 1)
    channel = arguments.name(node, 0, "channel", CHANNELS)
    compiler.reads.add(f"customer.{ADDRESS_OF.get(channel, channel)}")
    return Typed(lambda env: address_of(env.customer.cold, channel) is not None, BOOL)


def _consent(compiler: Compiler, node: Node) -> Typed:
    """Consent now: a pause that somebody asked for ends with time."""
    arguments.count(node, 2)
    channel = arguments.name(node, 0, "channel", CHANNELS)
    purpose = arguments.name(node, 1, "purpose", PURPOSES)
    compiler.reads.add(f"consent.{channel}")

    def ends(env: Env) -> int:
        pauses = [one.until for one in env.customer.cold.consents if one.until is not None and one.until > env.now]
        return min(pauses, default=NEVER)

    compiler.timing.pay((), ends)
    return Typed(lambda env: consents_to(env.customer.cold, channel, purpose, env.settings, env.now), BOOL)


def anniversary(day: date, years: int) -> date:
    """Return the day on which somebody of a birthday is so many years old: 29 February counts on 1 March."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)


def _years(compiler: Compiler, node: Node) -> Typed:
    """Whole years from a date to today, in the customer's zone."""
    arguments.count(node, 1)
    inner = compiler.compile(node.parts[0])
    arguments.need(node, inner.type, "date")
    compiler.reads.add("now")

    def call(env: Env) -> int:
        day: Any = inner.call(env)
        today = local(env.now, zone_of(env.customer.cold, env.settings)).date()
        return int(today.year - day.year - ((today.month, today.day) < (day.month, day.day)))

    def crossing(env: Env, number: int) -> int:
        day: Any = inner.call(env)
        if not 1 <= day.year + number <= 9_999:
            return NEVER
        found = moment_of(anniversary(day, number), 0, zone_of(env.customer.cold, env.settings))
        return found if found > env.now else NEVER

    owed = compiler.timing.owe("years()", lambda env: crossing(env, call(env) + 1))
    return Typed(call, INT, motion=Motion(None, owed + inner.motion.owed, crossing))


def begin_of_day(call: Callable[[Env], Any]) -> Callable[[Env], int]:
    """Return the time (UTC ms) at which a day begins where the customer is."""
    return lambda env: moment_of(call(env), 0, zone_of(env.customer.cold, env.settings))


def _date(compiler: Compiler, node: Node) -> Typed:
    arguments.count(node, 1)
    try:
        day = date.fromisoformat(arguments.text(node, 0, "a day"))
    except ValueError:
        raise ExpressionError("date() needs a day as in 2026-01-31", node.parts[0].offset) from None
    return Typed(lambda env: day, DATE)


STATE_FUNCTIONS: dict[str, Callable[[Compiler, Node], Typed]] = {
    "segment": _segment,
    "level": _level,
    "score": _score,
    "count": _count,
    "count_same": _count_same,
    "count_sent": _count_sent,
    "inside": _inside,
    "reachable": _reachable,
    "consent": _consent,
    "years": _years,
    "date": _date,
}
