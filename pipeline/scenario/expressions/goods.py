"""The functions that the sender's catalogue answers: a send asks, and the command carries the question.

The value of a call is a `Lookup`, never a product: the engine reads no catalogue, and a replay needs none. So nothing
can be computed of it: a call is the whole value, an arm of `? :`, or in default().
"""

from collections.abc import Callable
from typing import Any

from models.command import Lookup
from pipeline.engine.env import Env
from pipeline.scenario.expressions.arguments import count, need
from pipeline.scenario.expressions.compile import Compiler
from pipeline.scenario.expressions.parse import ExpressionError, Node
from pipeline.scenario.expressions.typed import Typed
from pipeline.scenario.expressions.types import Type
from pipeline.scenario.expressions.values import COMPUTED

GOODS = Type("goods")
# A message shows a dozen; twice that is room for a template that picks some.
COUNT_MAX = 24
# A list or a cart in a command is as long at most as what a state keeps of one, and no longer than what was bought.
ASKED_MAX = 50
Call = Callable[[Env], Any]


def _allow(compiler: Compiler, node: Node) -> None:
    if node.offset not in compiler.goods:
        raise ExpressionError(
            f"{node.value}() is filled in by the sender when it renders: it stands under `with` of a send, as the "
            "whole value, an arm of `? :`, or in default()",
            node.offset,
        )


def _profile(compiler: Compiler, name: str) -> Call:
    compiler.reads.add(f"profile.{name}")
    return COMPUTED[name][1]


def _how_many(compiler: Compiler, node: Node, index: int) -> Call:
    part = node.parts[index]
    if part.kind == "literal" and isinstance(part.value, int) and not 1 <= part.value <= COUNT_MAX:
        raise ExpressionError(f"{node.value}() gives 1 to {COUNT_MAX} products", part.offset)
    number = compiler.compile(part)
    need(node, number.type, "int")
    return lambda env: max(0, min(number.call(env), COUNT_MAX))


def _texts(values: Any) -> list[str]:
    """Return the texts of a list (or the one), each once and in order."""
    held = [values] if isinstance(values, str) else values
    return list(dict.fromkeys(one for one in held if isinstance(one, str) and one))[:ASKED_MAX]


def _ids(values: Any) -> list[str]:
    """Return the products of a list of ids or of items; what names none is left out."""
    return _texts([_id(one) for one in values])


def _id(one: Any) -> Any:
    return one.get("product_id") if isinstance(one, dict) else getattr(one, "product_id", one)


def _product(compiler: Compiler, node: Node) -> Typed:
    _allow(compiler, node)
    count(node, 1)
    name = compiler.compile(node.parts[0])
    need(node, name.type, "string")
    return Typed(lambda env: Lookup(ask="product", products=[str(name.call(env))]), GOODS)


def _related(compiler: Compiler, node: Node) -> Typed:
    _allow(compiler, node)
    count(node, 2)
    items = compiler.compile(node.parts[0])
    need(node, items.type, "list")
    element = items.type.element
    if element is not None and element.kind not in {"string", "dyn"} and "product_id" not in element.fields:
        raise ExpressionError(f"related() needs items or ids of products, not a {items.type}", node.parts[0].offset)
    number, bought = _how_many(compiler, node, 1), _profile(compiler, "bought_products")

    def call(env: Env) -> Lookup:
        return Lookup(ask="related", products=_ids(items.call(env)), without=_texts(bought(env)), count=number(env))

    return Typed(call, GOODS)


def _favourites(compiler: Compiler, node: Node) -> Typed:
    _allow(compiler, node)
    count(node, 1)
    number, products = _how_many(compiler, node, 0), _profile(compiler, "top_products")
    return Typed(
        lambda env: Lookup(ask="favourites", products=_texts(products(env)), count=number(env)),
        GOODS,
    )


def _new_products(compiler: Compiler, node: Node) -> Typed:
    _allow(compiler, node)
    count(node, 2)
    named = compiler.compile(node.parts[0])
    need(node, named.type, "list", "string")
    number, bought = _how_many(compiler, node, 1), _profile(compiler, "bought_products")

    def call(env: Env) -> Lookup:
        found, without = _texts(named.call(env)), _texts(bought(env))
        return Lookup(ask="new_products", categories=found, without=without, count=number(env))

    return Typed(call, GOODS)


def _popular(compiler: Compiler, node: Node) -> Typed:
    _allow(compiler, node)
    count(node, 1)
    number, bought = _how_many(compiler, node, 0), _profile(compiler, "bought_products")
    categories = _profile(compiler, "top_categories")

    def call(env: Env) -> Lookup:
        found, without = _texts(categories(env)), _texts(bought(env))
        return Lookup(ask="popular", categories=found, without=without, count=number(env))

    return Typed(call, GOODS)


CATALOGUE_FUNCTIONS: dict[str, Callable[[Compiler, Node], Typed]] = {
    "product": _product,
    "related": _related,
    "favourites": _favourites,
    "new_products": _new_products,
    "popular": _popular,
}
