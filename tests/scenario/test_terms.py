"""The parts of a condition that have a value of their own, as an explanation shows them."""

import pytest

from models.settings import SettingsSpec
from pipeline.scenario.expressions.compile import compile_expression
from pipeline.scenario.expressions.parse import ExpressionError
from pipeline.scenario.scope import base_roots, names_of, scope_with

SETTINGS = SettingsSpec()
SCOPE = scope_with(SETTINGS, base_roots(SETTINGS), names_of(SETTINGS))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("size(cart.items) > 0", ["size(cart.items)"]),
        ("profile.orders >= 2 || profile.spent >= 1000", ["profile.orders", "profile.spent"]),
        ("has(customer.email) && !(profile.orders > 2)", ["has(customer.email)", "profile.orders"]),
        ("(profile.orders + 2) * 3 > 4", ["(profile.orders + 2) * 3"]),
        ("(profile.orders > 1 ? profile.visits : 3) > 2", ["profile.orders", "profile.visits"]),
        ('age(profile.last_seen) <= duration("60d")', ["age(profile.last_seen)"]),
        ("cart.items.exists(i, i.price > 50) && profile.orders in [1, 2]", ["cart.items.exists(i, i.price > 50)", "profile.orders"]),
        ('level("engagement") == "hot" && count("page_viewed", "7d") > 2', ['level("engagement")', 'count("page_viewed", "7d")']),
        ("profile.orders > 1 && profile.orders < 9", ["profile.orders"]),
        ("1 < 2", []),
        ("true", []),
    ],
)  # fmt: skip
def test_terms_are_the_largest_parts_that_are_no_conditions_in_the_order_of_the_text(
    text: str, wanted: list[str]
) -> None:
    try:
        found = compile_expression(text, SCOPE, condition=True).terms()
    except ExpressionError as error:
        pytest.fail(f"{text}: {error.message}")
    assert [one.text for one in found] == wanted


def test_a_term_knows_its_type() -> None:
    found = compile_expression("cart.total > 5 && age(cart.changed_at) > duration('1d')", SCOPE, condition=True).terms()
    assert [(one.text, one.kind) for one in found] == [("cart.total", "money"), ("age(cart.changed_at)", "duration")]
