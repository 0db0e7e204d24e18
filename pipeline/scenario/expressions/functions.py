"""The functions and macros of expressions."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from models.money import to_decimal
from pipeline.durations import parse_duration
from pipeline.engine.env import Env, Missing
from pipeline.scenario.expressions import values
from pipeline.scenario.expressions.compile import Compiler, Typed, nearest
from pipeline.scenario.expressions.parse import ExpressionError, Node
from pipeline.scenario.expressions.types import BOOL, DOUBLE, DURATION, DYN, INT, STRING, TIME, Type

MACROS = {"all", "exists", "exists_one", "filter", "map"}
TEXT_METHODS: dict[str, Callable[[str, str], bool]] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": lambda text, part: part in text,
}


def _count(node: Node, wanted: int) -> None:
    given = len(node.parts) - (1 if node.kind == "method" else 0)
    if given != wanted:
        raise ExpressionError(f"{node.value}() takes {wanted} values, not {given}", node.offset)


def _need(node: Node, typed: Typed, *kinds: str) -> None:
    if typed.type.kind not in {*kinds, "dyn"}:
        raise ExpressionError(f"{node.value}() needs a {' or '.join(kinds)}, not a {typed.type}", node.offset)


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
    element = (target.type.element or DYN) if target.type.kind == "list" else STRING
    outer = compiler.variables.get(variable.value)
    compiler.variables[variable.value] = (element, cell)
    body = compiler.compile(node.parts[2])
    if outer is None:
        del compiler.variables[variable.value]
    else:
        compiler.variables[variable.value] = outer
    name = str(node.value)
    if name != "map" and body.type.kind not in {"bool", "dyn"}:
        raise ExpressionError(f"{name}() needs a condition, not a {body.type}", node.parts[2].offset)
    kind = {"map": Type("list", body.type), "filter": target.type}.get(name, BOOL)
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

    def call(env: Env) -> Any:
        try:
            return value.call(env)
        except Missing:
            return other.call(env)

    return Typed(call, value.type if value.type.kind != "dyn" else other.type)


def _duration(compiler: Compiler, node: Node) -> Typed:
    _count(node, 1)
    text = node.parts[0]
    if text.kind != "literal" or not isinstance(text.value, str):
        raise ExpressionError('duration() needs a text, as in duration("7d")', node.offset)
    try:
        span = parse_duration(text.value)
    except ValueError as error:
        raise ExpressionError(str(error), text.offset) from None
    return Typed(lambda env: span, DURATION)


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
    _need(node, inner, "time")
    compiler.reads.add("now")
    return Typed(lambda env: env.now - inner.call(env), DURATION)


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
    "int": _convert(INT, lambda value: values.in_range(int(value))),
    "double": _convert(DOUBLE, float),
    "string": _convert(STRING, _text),
}
