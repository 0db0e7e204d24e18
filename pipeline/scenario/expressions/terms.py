"""The parts of a condition that have a value of their own: what a person wants to see when it did not hold.

    size(cart.items) > 0 && profile.spent >= 1000        size(cart.items), profile.spent
    has(customer.email) && !segment("vip")               has(customer.email), segment("vip")

Each is compiled a second time, alone and in the same scope, and only where somebody asks: nothing of it is done when a
plan is loaded or an event applied.
"""

from collections.abc import Iterator

from pipeline.engine.env import Term
from pipeline.scenario.expressions.compile import COMPARE, Compiler, Scope
from pipeline.scenario.expressions.parse import Node

CONSTANT_CALLS = frozenset({"duration", "timestamp", "date"})
OPEN, CLOSE = "([{", ")]}"


def terms_of(tree: Node, text: str, scope: Scope) -> tuple[Term, ...]:
    """Return the terms of an expression in the order of its text, each once."""
    found: dict[str, Term] = {}
    for node in _looked_at(tree):
        words = _words(node, text)
        if words not in found:
            typed = Compiler(scope).compile(node)
            found[words] = Term(words, typed.type.kind, typed.call)
    return tuple(found.values())


def _looked_at(node: Node) -> Iterator[Node]:
    """Yield the largest parts that are not put together from conditions, without those that never change."""
    if node.kind in {"and", "or", "not", "ternary"} or _compares(node):
        for part in node.parts:
            yield from _looked_at(part)
    elif not _constant(node):
        yield node


def _compares(node: Node) -> bool:
    return node.kind == "binary" and (node.value in COMPARE or node.value == "in")


def _constant(node: Node) -> bool:
    if node.kind == "literal" or (node.kind == "call" and node.value in CONSTANT_CALLS):
        return True
    return node.kind in {"list", "map", "minus", "binary"} and all(map(_constant, node.parts))


def _words(node: Node, text: str) -> str:
    """Return the text of a node; the tree does not count the parentheses at its border, so they are looked for."""
    start, end = node.offset, node.end
    while end < len(text) and _depth(text[start:end]) > 0:
        end += 1
    while start > 0 and _depth(text[start:end]) < 0:
        start -= 1
    return text[start:end].strip()


def _depth(text: str) -> int:
    return sum((letter in OPEN) - (letter in CLOSE) for letter in text)
