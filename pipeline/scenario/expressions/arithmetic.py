"""Sums, differences, products: CEL's types, and rules of their own for money and times."""

import operator
from collections.abc import Callable
from typing import Any

from pipeline.engine.env import Env, Missing
from pipeline.scenario.expressions import values
from pipeline.scenario.expressions.parse import ExpressionError, Node
from pipeline.scenario.expressions.timing import STILL, Motion
from pipeline.scenario.expressions.typed import Typed
from pipeline.scenario.expressions.types import DOUBLE, DURATION, DYN, INT, MONEY, STRING, TIME, Type


def arithmetic(node: Node, left: Typed, right: Typed) -> Typed:
    """Compile + - * / % with CEL's types; money and times have their own rules."""
    kind = _result_kind(str(node.value), left.type.kind, right.type.kind)
    if kind is None:
        raise ExpressionError(f"{left.type} {node.value} {right.type} has no meaning", node.offset)
    one, other = left.call, right.call
    whole = kind.kind in {"int", "money", "time", "duration", "dyn"}
    plain: dict[str, Callable[[Any, Any], Any]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}
    if node.value == "/":
        operate = values.divide if whole else operator.truediv
    elif node.value == "%":
        operate = values.remainder
    else:
        operate = plain[str(node.value)]

    def call(env: Env) -> Any:
        try:
            found = operate(one(env), other(env))
        except (ZeroDivisionError, TypeError, OverflowError):
            raise Missing("arithmetic") from None
        return values.in_range(found) if isinstance(found, int) else found

    return Typed(call, kind, motion=_moved(str(node.value), left.motion, right.motion))


def _moved(sign: str, left: Motion, right: Motion) -> Motion:
    owed = left.owed + right.owed
    if not owed:
        return STILL
    if sign not in {"+", "-"} or left.slope is None or right.slope is None:
        return Motion(None, owed)
    return Motion(left.slope + (right.slope if sign == "+" else -right.slope), owed)


def _result_kind(sign: str, left: str, right: str) -> Type | None:
    if "dyn" in {left, right}:
        return DYN
    sums = {
        ("int", "int"): INT, ("double", "double"): DOUBLE, ("money", "money"): MONEY,
        ("duration", "duration"): DURATION,
    }  # fmt: skip
    if sign in {"+", "-"}:
        moved = {("time", "duration"): TIME, ("duration", "time"): TIME if sign == "+" else None}
        if sign == "-":
            moved[("time", "time")] = DURATION
        if sign == "+" and left == right and left in {"string", "list"}:
            return STRING if left == "string" else Type("list", DYN)
        return sums.get((left, right)) or moved.get((left, right))
    if sign == "*":
        pairs = {("int", "int"): INT, ("double", "double"): DOUBLE, ("money", "int"): MONEY, ("int", "money"): MONEY}
        return pairs.get((left, right))
    pairs = {("int", "int"): INT, ("money", "int"): MONEY}
    if sign == "/":
        pairs |= {("double", "double"): DOUBLE, ("money", "money"): INT, ("duration", "duration"): INT}
    return pairs.get((left, right))
