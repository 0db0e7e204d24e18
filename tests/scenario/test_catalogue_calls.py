"""The functions of the catalogue: the command carries the question, the engine reads nothing, and nowhere else."""

from typing import Any

import pytest

from models.command import Command, Lookup
from pipeline.errors import PlanError
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.sources import PlanSources
from tests.engine.build import HOUR, T0, Life, cart, event
from tests.scenario.test_refusals import GOOD, refused

SETTINGS = "consent_default: granted\nrequire_address: false\n"


def with_value(value: str) -> str:
    return GOOD + f"    with:\n      goods: '{value}'\n"


def sent(value: str, *before: Any) -> Command:
    plan = compile_plan(PlanSources({"settings.yaml": SETTINGS, "one/scenario.yaml": with_value(value)}))
    life = Life(plan).feed(*before, cart(T0, "p1", "p2")).until(T0 + HOUR)
    return life.commands[-1]


def viewed(at: int, product: str, category: str) -> Any:
    return event("product_viewed", at, product_id=product, category=category)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ('product("p9")', Lookup(ask="product", products=["p9"])),
        ("related(cart.items, 3)", Lookup(ask="related", products=["p1", "p2"], without=["p7"], count=3)),
        ('related(top(cart.items, 1, "price"), 2)', Lookup(ask="related", products=["p1"], without=["p7"], count=2)),
        ('related(["a", "b"], 2)', Lookup(ask="related", products=["a", "b"], without=["p7"], count=2)),
        ("favourites(4)", Lookup(ask="favourites", products=["p8", "p7"], count=4)),
        ('new_products("bowls", 2)', Lookup(ask="new_products", categories=["bowls"], without=["p7"], count=2)),
        (
            "new_products(profile.top_categories, 2)",
            Lookup(ask="new_products", categories=["lamps"], without=["p7"], count=2),
        ),
        ("popular(1)", Lookup(ask="popular", categories=["lamps"], without=["p7"], count=1)),
        ("cart.total > 1 ? popular(1) : favourites(1)", Lookup(ask="popular", categories=["lamps"], without=["p7"])),
        ("default(product(cart.url), favourites(1))", Lookup(ask="favourites", products=["p8"], count=1)),
    ],
)
def test_a_command_carries_what_the_sender_is_to_look_up(value: str, wanted: Lookup) -> None:
    bought = event("order_placed", T0 - 5, order_id="o1", items=[{"product_id": "p7"}])
    command = sent(value, viewed(T0 - 9, "p8", "lamps"), viewed(T0 - 8, "p8", "lamps"), bought)
    assert "goods" not in command.data
    found = command.lookups["goods"]
    # What the order's own day says of favourites is not what this test is about.
    assert found.products[: len(wanted.products)] == wanted.products
    assert (found.ask, found.categories, found.without, found.count) == (
        wanted.ask, wanted.categories, wanted.without, wanted.count,
    )  # fmt: skip


def test_a_value_that_is_missing_leaves_the_question_out() -> None:
    assert sent("product(cart.url)").lookups == {}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("size(popular(3)) > 0", "one/scenario.yaml:14:19: popular() is filled in by the sender"),
        ('product("a").name', "product() is filled in by the sender"),
        ("related(popular(3), 2)", "popular() is filled in by the sender"),
        ('[product("a")]', "product() is filled in by the sender"),
        ("popular(0)", "popular() gives 1 to 24 products"),
        ("popular(25)", "popular() gives 1 to 24 products"),
        ('popular("three")', "popular() needs a int, not a string"),
        ("product(cart.total)", "product() needs a string, not a money"),
        ("related(cart.total, 3)", "related() needs a list, not a money"),
        ("related(profile.purchase_months, 3)", "related() needs items or ids of products, not a list of int"),
        ("new_products(3, 3)", "new_products() needs a list or string, not a int"),
        ("related(cart.items)", "related() takes 2 values, not 1"),
        ("favorites(3)", "unknown function 'favorites'; did you mean favourites?"),
    ],
)
def test_what_the_sender_cannot_answer_is_refused_with_its_place(value: str, message: str) -> None:
    problems = refused(with_value(value))
    assert len(problems) == 1 and message in problems[0], problems
    assert problems[0].startswith("one/scenario.yaml:14:")


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("size(cart.items) > 0", "popular(3)", "6:9"),
        ("- on: order_placed", "- {on: order_placed, where: 'product(\"a\")'}", "8:31"),
        ("  - wait: 45m\n", "  - set: {with: 'popular(3)'}\n", "10:17"),
    ],
)
def test_outside_a_send_they_are_refused_with_their_place(old: str, new: str, place: str) -> None:
    problems = refused(GOOD.replace(old, new, 1), "attributes: {with: string}\n")
    assert any(
        one.startswith(f"one/scenario.yaml:{place}: ") and "filled in by the sender" in one for one in problems
    ), problems


def test_in_the_settings_they_are_refused_too() -> None:
    with pytest.raises(PlanError) as error:
        compile_plan(PlanSources({"settings.yaml": 'segments: {keen: "popular(3)"}\n'}))
    assert "settings.yaml:1:18: popular() is filled in by the sender" in str(error.value.problems[0])
