"""Text to a tree of nodes, each with its place in the text."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedInput

# A condition that a person can read is far below; a longer one is refused before it costs anything.
TEXT_MAX = 4_000


class ExpressionError(Exception):
    """An expression is refused: `message` says why, `offset` is the place in its text (characters, from 0)."""

    def __init__(self, message: str, offset: int = 0):
        super().__init__(message)
        self.message = message
        self.offset = offset


@dataclass(frozen=True)
class Node:
    """One node: `kind` names it, `value` is its literal, name or operator, `parts` are its operands."""

    kind: str
    value: Any = None
    parts: tuple["Node", ...] = ()
    offset: int = 0
    text: str = ""
    end: int = 0  # the place in the text after it


@v_args(meta=True)
class _Build(Transformer[Token, Node]):
    """Turns the parse tree into nodes."""

    def _node(self, kind: str, meta: Any, parts: list[Any], value: Any = None, text: str = "") -> Node:
        operands = tuple(part for part in parts if isinstance(part, Node))
        return Node(kind, value, operands, getattr(meta, "start_pos", 0), text, getattr(meta, "end_pos", 0))

    def ternary(self, meta: Any, parts: list[Any]) -> Node:
        return self._node("ternary", meta, parts)

    def or_op(self, meta: Any, parts: list[Any]) -> Node:
        return self._node("or", meta, parts)

    def and_op(self, meta: Any, parts: list[Any]) -> Node:
        return self._node("and", meta, parts)

    def binary(self, meta: Any, parts: list[Any]) -> Node:
        return self._node("binary", meta, [parts[0], parts[2]], str(parts[1]))

    def not_op(self, meta: Any, parts: list[Any]) -> Node:
        return self._node("not", meta, parts)

    def minus_op(self, meta: Any, parts: list[Any]) -> Node:
        if str(parts[0]) != "-":
            raise ExpressionError("a sign is '-'", meta.start_pos)
        return self._node("minus", meta, parts)

    def select(self, meta: Any, parts: list[Any]) -> Node:
        return self._node("select", meta, parts, str(parts[1]))

    def index(self, meta: Any, parts: list[Any]) -> Node:
        return self._node("index", meta, parts)

    def args(self, meta: Any, parts: list[Any]) -> list[Node]:
        return [part for part in parts if isinstance(part, Node)]

    def pair(self, meta: Any, parts: list[Any]) -> tuple[Node, Node]:
        return parts[0], parts[1]

    def pairs(self, meta: Any, parts: list[Any]) -> list[Node]:
        return [node for part in parts if part is not None for node in part]

    def method(self, meta: Any, parts: list[Any]) -> Node:
        return self._node("method", meta, [parts[0], *(parts[2] or [])], str(parts[1]))

    def call(self, meta: Any, parts: list[Any]) -> Node:
        return self._node("call", meta, parts[1] or [], str(parts[0]))

    def list_(self, meta: Any, parts: list[Any]) -> Node:
        return self._node("list", meta, parts[0] or [])

    def map_(self, meta: Any, parts: list[Any]) -> Node:
        return self._node("map", meta, parts[0] or [])

    def name(self, meta: Any, parts: list[Any]) -> Node:
        return self._node("name", meta, [], str(parts[0]))

    def int_(self, meta: Any, parts: list[Any]) -> Node:
        return self._node("literal", meta, [], int(parts[0], 0), str(parts[0]))

    def float_(self, meta: Any, parts: list[Any]) -> Node:
        return self._node("literal", meta, [], float(parts[0]), str(parts[0]))

    def string(self, meta: Any, parts: list[Any]) -> Node:
        return self._node("literal", meta, [], ast.literal_eval(str(parts[0])), str(parts[0]))

    def true(self, meta: Any, parts: list[Any]) -> Node:
        return self._node("literal", meta, [], True, "true")

    def false(self, meta: Any, parts: list[Any]) -> Node:
        return self._node("literal", meta, [], False, "false")

    def null(self, meta: Any, parts: list[Any]) -> Node:
        return self._node("literal", meta, [], None, "null")


@cache
def _parser() -> Lark:
    grammar = Path(__file__).with_name("cel.lark").read_text()
    return Lark(grammar, parser="lalr", propagate_positions=True, maybe_placeholders=True)


def parse(text: str) -> Node:
    """Return the tree of an expression; ExpressionError names the place of a fault."""
    if len(text) > TEXT_MAX:
        raise ExpressionError(f"an expression of {len(text)} characters; {TEXT_MAX} are allowed")
    try:
        return _Build().transform(_parser().parse(text))
    except UnexpectedInput as error:
        offset = max(getattr(error, "pos_in_stream", 0) or 0, 0)
        found = text[offset : offset + 12].split() or ["its end"]
        raise ExpressionError(f"the expression cannot be read at {found[0]!r}", offset) from None


def results_of(node: Node) -> Iterator[int]:
    """Yield where the calls stand whose value may be the whole expression's, with nothing computed of it."""
    if node.kind == "call" and node.value == "default":
        parts = node.parts
    elif node.kind == "call":
        yield node.offset
        return
    else:
        parts = node.parts[1:] if node.kind == "ternary" else ()
    for part in parts:
        yield from results_of(part)
