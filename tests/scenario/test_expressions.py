"""Expressions: values, missing values, money, macros, and agreement with a CEL library on the pure subset."""

import celpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.customer import Cart, CartItem, Cold, Customer, Profile
from pipeline.engine.env import Env, Missing
from pipeline.engine.plan import Settings
from pipeline.scenario.expressions.compile import Scope, compile_expression
from pipeline.scenario.expressions.parse import ExpressionError
from pipeline.scenario.expressions.types import MONEY, STRING, Type, of_record

SCOPE = Scope(
    {
        "cart": of_record(Cart),
        "profile": of_record(Profile),
        "event": Type("object", fields={"total": MONEY, "name": STRING}),
    }
)
CART = Cart(items=(CartItem(product_id="a", price=5000), CartItem(product_id="b", price=100)), total=5100)
CUSTOMER = Customer(id="c", cold=Cold(cart=CART), profile=Profile(orders=2, last_seen=1_000))


def value(text: str, **event: object) -> object:
    env = Env(CUSTOMER, 100_000, Settings(), event=event or None)
    return compile_expression(text, SCOPE).call(env)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("size(cart.items) > 0", True),
        ("cart.total >= 50", True),
        ("cart.total == 51.00", True),
        ("cart.total < 50.999", False),
        ("cart.total / 2", 2550),
        ('top(cart.items, 1, "price")[0].product_id', "a"),
        ("cart.items.exists(i, i.price > 40)", True),
        ("cart.items.all(i, i.price > 40)", False),
        ("cart.items.filter(i, i.price < 2).map(i, i.product_id)", ["b"]),
        ("profile.orders in [1, 2]", True),
        ("has(profile.last_order_at)", False),
        ("default(profile.last_order_at, now) == now", True),
        ("default(event.total, 9) > 5", True),
        ("default(event.total, 9.5) == 9.50", True),
        ('age(profile.last_seen) < duration("2m")', True),
        ("now - duration('1m') > profile.last_seen", True),
        ("1 + 2 * 3 - 4 / 3", 6),
        ("-7 / 2", -3),
        ("-7 % 2", -1),
        ("'abc'.startsWith('ab') && 'abc'.contains('b') && 'abc'.matches('^a.c$')", True),
        ("true ? 1 : 2", 1),
    ],
)
def test_an_expression_has_its_value(text: str, expected: object) -> None:
    assert value(text) == expected


@pytest.mark.parametrize("text", ["event.total > 1", "!(event.total > 1)", "1 / 0 > 1", "cart.items[5].price > 1"])
def test_a_missing_value_makes_neither_a_condition_nor_its_negation_hold(text: str) -> None:
    with pytest.raises(Missing):
        value(text)
    assert not compile_expression(text, SCOPE).holds(Env(CUSTOMER, 0, Settings()))


def test_an_error_on_one_side_is_absorbed_when_the_other_side_decides() -> None:
    assert value("event.total > 1 || true") is True
    assert value("event.total > 1 && false") is False
    with pytest.raises(Missing):
        value("event.total > 1 || false")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("carts.total", "unknown name 'carts'; did you mean cart?"),
        ("profile.order", "unknown field profile.order; did you mean profile.orders?"),
        ("siz(cart.items)", "unknown function 'siz'; did you mean size?"),
        ("cart.total + 1.5", "money + double has no meaning"),
        ("event.name > 1", "string > int cannot be compared"),
        ('duration("soon")', "'soon' is not a duration: write 45m, 23h, 7d or 1h30m"),
        ('top(cart.items, 1, "prize")', "unknown field 'prize'; did you mean price?"),
    ],
)
def test_a_wrong_name_or_type_is_refused_when_the_plan_is_loaded(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as error:
        compile_expression(text, SCOPE)
    assert message in error.value.message


def test_reads_name_what_an_expression_looks_at() -> None:
    found = compile_expression(
        "cart.total > 5 && profile.orders == 0 && age(profile.last_seen) > duration('1d')", SCOPE
    )
    assert found.reads == {"cart.total", "profile.orders", "profile.last_seen", "now"}


NUMBERS = st.integers(-50, 50).map(lambda n: f"({n})")
ARITHMETIC = st.recursive(
    NUMBERS,
    lambda inner: st.tuples(inner, st.sampled_from("+-*/%"), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
    max_leaves=6,
)
COMPARISONS = st.tuples(ARITHMETIC, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), ARITHMETIC).map(" ".join)
CONDITIONS = st.recursive(
    COMPARISONS.map(lambda text: f"({text})"),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        inner.map(lambda text: f"!{text}"),
        st.tuples(inner, inner, inner).map(lambda p: f"({p[0]} ? {p[1]} : {p[2]})"),
    ),
    max_leaves=4,
)


# Made once: it sets the recursion limit, which must not change under a test.
LIBRARY = celpy.Environment()


def by_library(text: str) -> object:
    try:
        return bool(LIBRARY.program(LIBRARY.compile(text)).evaluate({}))
    except celpy.CELEvalError:
        return "error"


def by_ours(text: str) -> object:
    try:
        return compile_expression(text, SCOPE).call(Env(CUSTOMER, 0, Settings()))
    except Missing:
        return "error"


@settings(max_examples=60, deadline=None)
@given(CONDITIONS)
def test_conditions_agree_with_a_cel_library(text: str) -> None:
    assert by_ours(text) == by_library(text)
