"""The functions and macros of expressions."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from models.money import to_decimal
from pipeline.durations import parse_duration
from pipeline.engine.env import Env, Missing
from pipeline.scenario.expressions import values
from pipeline.scenario.expressions.arguments import count as _count
from pipeline.scenario.expressions.arguments import need
from pipeline.scenario.expressions.compile import Compiler, nearest
from pipeline.scenario.expressions.goods import CATALOGUE_FUNCTIONS
from pipeline.scenario.expressions.parse import ExpressionError, Node
from pipeline.scenario.expressions.state import STATE_FUNCTIONS, begin_of_day
from pipeline.scenario.expressions.timing import Motion
from pipeline.scenario.expressions.typed import Typed
from pipeline.scenario.expressions.types import BOOL, DATE, DOUBLE, DURATION, DYN, INT, STRING, TIME, Type

MACROS = {"all", "exists", "exists_one", "filter", "map"}
TEXT_METHODS: dict[str, Callable[[str, str], bool]] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": lambda text, part: part in text,
}


def _need(node: Node, typed: Typed, *kinds: str) -> None:
    need(node, typed.type, *kinds)


def method(compiler: Compiler, node: Node) -> Typed:
    """Compile x.name(...)."""
    name = str(node.value)
    if name in MACROS:
        return _macro(compiler, node)
    target = compiler.compile(node.parts[0])
    if name == "size":
        _count(node, 0)
        return Typed(lambda env: values.size(target.call(env)), INT)
    if name == "matches":
        return _matches(compiler, node, target)
    if name not in TEXT_METHODS:
        raise ExpressionError(
            f"unknown method {name!r}{nearest(name, [*TEXT_METHODS, *MACROS, 'matches'])}", node.offset
        )
    _count(node, 1)
    _need(node, target, "string")
    part, test = compiler.compile(node.parts[1]), TEXT_METHODS[name]
    _need(node, part, "string")
    return Typed(lambda env: test(target.call(env), part.call(env)), BOOL)


def _matches(compiler: Compiler, node: Node, target: Typed) -> Typed:
    """Match a pattern that stands in the text, so that a bad one is refused when the plan is loaded."""
    _count(node, 1)
    pattern = node.parts[1]
    if pattern.kind != "literal" or not isinstance(pattern.value, str):
        raise ExpressionError("matches() needs its pattern in quotes", node.offset)
    try:
        compiled = re.compile(pattern.value)
    except re.error as error:
        raise ExpressionError(f"a wrong pattern: {error}", pattern.offset) from None
    return Typed(lambda env: compiled.search(str(target.call(env))) is not None, BOOL)


def _macro(compiler: Compiler, node: Node) -> Typed:
    _count(node, 2)
    target = compiler.compile(node.parts[0])
    _need(node, target, "list", "map")
    variable = node.parts[1]
    if variable.kind != "name":
        raise ExpressionError(f"{node.value}() needs a variable first", variable.offset)
    cell: list[Any] = [None]
    element = target.type.element or DYN
    if target.type.kind == "map" and element != DYN:
        # Of a map the keys: texts in all that a customer has; a map in the text says itself what they are.
        element = STRING
    outer = compiler.variables.get(variable.value)
    owed, whens = dict(compiler.timing.owed), len(compiler.timing.whens)
    compiler.variables[variable.value] = (element, cell)
    body = compiler.compile(node.parts[2])
    compiler.timing.macro(owed, whens, str(node.value))
    if outer is None:
        del compiler.variables[variable.value]
    else:
        compiler.variables[variable.value] = outer
    name = str(node.value)
    if name != "map" and body.type.kind not in {"bool", "dyn"}:
        raise ExpressionError(f"{name}() needs a condition, not a {body.type}", node.parts[2].offset)
    kind = {"map": Type("list", body.type), "filter": Type("list", element)}.get(name, BOOL)
    return Typed(_loop(name, target.call, body.call, cell), kind)


def _loop(name: str, items: Callable[[Env], Any], body: Callable[[Env], Any], cell: list[Any]) -> Callable[[Env], Any]:
    def each(env: Env) -> list[tuple[Any, Any]]:
        found: list[tuple[Any, Any]] = []
        for item in items(env):
            cell[0] = item
            found.append((item, body(env)))
        return found

    def decided(env: Env, decisive: bool) -> bool:
        """CEL: an error in one element is absorbed if another one decides."""
        missing: Missing | None = None
        for item in items(env):
            cell[0] = item
            try:
                if bool(body(env)) is decisive:
                    return decisive
            except Missing as error:
                missing = error
        if missing is not None:
            raise missing
        return not decisive

    loops: dict[str, Callable[[Env], Any]] = {
        "all": lambda env: decided(env, False),
        "exists": lambda env: decided(env, True),
        "exists_one": lambda env: sum(1 for _, held in each(env) if held) == 1,
        "filter": lambda env: [item for item, held in each(env) if held],
        "map": lambda env: [mapped for _, mapped in each(env)],
    }
    return loops[name]


def function(compiler: Compiler, node: Node) -> Typed:
    """Compile name(...)."""
    build = FUNCTIONS.get(str(node.value))
    if build is None:
        raise ExpressionError(f"unknown function {node.value!r}{nearest(str(node.value), FUNCTIONS)}", node.offset)
    return build(compiler, node)


def _size(compiler: Compiler, node: Node) -> Typed:
    _count(node, 1)
    inner = compiler.compile(node.parts[0])
    _need(node, inner, "string", "list", "map")
    return Typed(lambda env: values.size(inner.call(env)), INT)


def _has(compiler: Compiler, node: Node) -> Typed:
    _count(node, 1)
    if node.parts[0].kind != "select":
        raise ExpressionError("has() needs a field, as in has(customer.email)", node.offset)
    inner = compiler.compile(node.parts[0])

    def call(env: Env) -> bool:
        try:
            inner.call(env)
        except Missing:
            return False
        return True

    return Typed(call, BOOL)


def _default(compiler: Compiler, node: Node) -> Typed:
    _count(node, 2)
    value, other = (compiler.compile(part) for part in node.parts)
    # A plain number that stands in for an amount is one: 9 for 9.00.
    other = compiler.same_unit(other, value)

    def call(env: Env) -> Any:
        try:
            return value.call(env)
        except Missing:
            return other.call(env)

    kind = value.type if value.type.kind != "dyn" else other.type
    owed = value.motion.owed + other.motion.owed
    # Without a value the other stands in, which time does not move: a timer for the value then finds nothing changed.
    moves = value.motion if not other.motion.owed else Motion(None, owed)
    return Typed(call, kind, motion=moves)


def _duration(compiler: Compiler, node: Node) -> Typed:
    _count(node, 1)
    text = node.parts[0]
    if text.kind != "literal" or not isinstance(text.value, str):
        raise ExpressionError('duration() needs a text, as in duration("7d")', node.offset)
    try:
        span = parse_duration(text.value)
    except ValueError as error:
        raise ExpressionError(str(error), text.offset) from None
    return Typed(lambda env: span, DURATION, fixed=span)


def _timestamp(compiler: Compiler, node: Node) -> Typed:
    _count(node, 1)
    text = node.parts[0]
    try:
        moment = datetime.fromisoformat(str(text.value))
    except ValueError:
        raise ExpressionError("timestamp() needs an ISO 8601 time in quotes", text.offset) from None
    if moment.tzinfo is None:
        raise ExpressionError("a time needs its zone, as in 2026-01-31T09:00:00Z", text.offset)
    found = round(moment.timestamp() * 1000)
    return Typed(lambda env: found, TIME)


def _age(compiler: Compiler, node: Node) -> Typed:
    _count(node, 1)
    inner = compiler.compile(node.parts[0])
    _need(node, inner, "time", "date")
    compiler.reads.add("now")
    since = begin_of_day(inner.call) if inner.type == DATE else inner.call
    slope = None if inner.motion.slope is None else 1 - inner.motion.slope
    motion = Motion(slope, compiler.timing.owe("age()") + inner.motion.owed)
    return Typed(lambda env: env.now - since(env), DURATION, motion=motion, probe=_field_of_profile(node.parts[0]))


def _field_of_profile(node: Node) -> str:
    """Return the read of a field of the profile that stands alone ("profile.last_seen"), else nothing."""
    is_field = node.kind == "select" and node.parts[0].kind == "name" and node.parts[0].value == "profile"
    return f"profile.{node.value}" if is_field else ""


def _top(compiler: Compiler, node: Node) -> Typed:
    _count(node, 3)
    items, count, name = (compiler.compile(part) for part in node.parts)
    _need(node, items, "list")
    _need(node, count, "int")
    element, field = items.type.element, node.parts[2].value
    if element is not None and element.kind == "object" and field not in element.fields:
        raise ExpressionError(f"unknown field {field!r}{nearest(str(field), element.fields)}", node.parts[2].offset)
    return Typed(lambda env: values.top(items.call(env), count.call(env), name.call(env)), items.type)


def _voucher(compiler: Compiler, node: Node) -> Typed:
    _count(node, 3)
    prefix, value = (compiler.compile(part) for part in node.parts[:2])
    _need(node, prefix, "string")
    _need(node, value, "string", "int", "double", "money")
    said = node.parts[2]
    is_text = said.kind == "literal" and isinstance(said.value, str)
    valid = _duration(compiler, Node("call", "duration", (said,), said.offset)) if is_text else compiler.compile(said)
    _need(node, valid, "duration")
    compiler.reads.add("voucher")
    currency, is_money = compiler.scope.currency, value.type.kind == "money"

    def call(env: Env) -> str:
        if env.issue is None:
            raise Missing("voucher")
        worth = value.call(env)
        return env.issue(prefix.call(env), to_decimal(worth, currency) if is_money else worth, valid.call(env))

    return Typed(call, STRING)


def _convert(kind: Type, convert: Callable[[Any], Any]) -> Callable[[Compiler, Node], Typed]:
    def build(compiler: Compiler, node: Node) -> Typed:
        _count(node, 1)
        inner = compiler.compile(node.parts[0])

        def call(env: Env) -> Any:
            try:
                return convert(inner.call(env))
            except (ValueError, TypeError, OverflowError):
                raise Missing(str(node.value)) from None

        return Typed(call, kind)

    return build


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


FUNCTIONS: dict[str, Callable[[Compiler, Node], Typed]] = {
    "size": _size,
    "has": _has,
    "default": _default,
    "duration": _duration,
    "timestamp": _timestamp,
    "age": _age,
    "top": _top,
    "voucher": _voucher,
    "bool": _convert(BOOL, values.truth),
    "int": _convert(INT, values.whole),
    "double": _convert(DOUBLE, float),
    "string": _convert(STRING, _text),
    **STATE_FUNCTIONS,
    **CATALOGUE_FUNCTIONS,
}
