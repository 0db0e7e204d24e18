"""The arguments of functions: how many there are, of which types, and which must stand in the text."""

from collections.abc import Iterable
from difflib import get_close_matches

from pipeline.durations import parse_duration
from pipeline.scenario.expressions.parse import ExpressionError, Node
from pipeline.scenario.expressions.types import Type


def count(node: Node, *wanted: int) -> None:
    """Refuse a wrong number of arguments."""
    given = len(node.parts) - (1 if node.kind == "method" else 0)
    if given not in wanted:
        numbers = " or ".join(str(number) for number in wanted)
        raise ExpressionError(f"{node.value}() takes {numbers} values, not {given}", node.offset)


def need(node: Node, kind: Type, *kinds: str) -> None:
    """Refuse an argument of another type."""
    if kind.kind not in {*kinds, "dyn"}:
        raise ExpressionError(f"{node.value}() needs a {' or '.join(kinds)}, not a {kind}", node.offset)


def text(node: Node, index: int, what: str) -> str:
    """Return an argument that stands in the text in quotes."""
    part = node.parts[index]
    if part.kind != "literal" or not isinstance(part.value, str):
        raise ExpressionError(f"{node.value}() needs {what} in quotes", part.offset)
    return part.value


def name(node: Node, index: int, what: str, known: Iterable[str]) -> str:
    """Return an argument in quotes that is one of some names."""
    found, names = text(node, index, f"the name of a {what}"), list(known)
    if found not in names:
        near = get_close_matches(found, names, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ExpressionError(f"unknown {what} {found!r}{hint}", node.parts[index].offset)
    return found


def span(node: Node, index: int) -> int:
    """Return a duration in quotes in milliseconds; one of nothing is refused."""
    try:
        found = parse_duration(text(node, index, "a duration"))
    except ValueError as error:
        raise ExpressionError(str(error), node.parts[index].offset) from None
    if not found:
        raise ExpressionError("a window of no length", node.parts[index].offset)
    return found
