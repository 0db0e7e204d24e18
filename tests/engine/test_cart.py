"""The cart: last writer by `at`, single changes, orders, and the derived `cart_changed`."""

from decimal import Decimal
from typing import Any

from models.customer import Cart
from models.event import Event
from models.ids import derived_event_id
from pipeline.engine.cart import ITEMS_MAX
from pipeline.engine.plan import Again, Enter, Settings, Wait
from tests.engine.build import HOUR, OPEN, T0, Life, cart, event, expr, order, plan, scenario


def cart_of(*events: Event, settings: Settings = OPEN) -> Cart:
    return Life(plan(settings=settings)).feed(*events, watermark=0).known.cold.cart


def added(at: int, product: str, quantity: int = 1, **more: Any) -> Event:
    return event("cart_item_added", at, product_id=product, quantity=quantity, price=100, **more)


def removed(at: int, product: str, quantity: int = 1) -> Event:
    return event("cart_item_removed", at, product_id=product, quantity=quantity)


def content(one: Cart) -> list[tuple[str, int]]:
    return [(item.product_id, item.quantity) for item in one.items]


def test_a_whole_cart_replaces_the_one_before() -> None:
    found = cart_of(cart(T0, "a", "b"), cart(T0 + 1, "c", url="https://shop.example/cart"))
    assert (content(found), found.total, found.url) == ([("c", 1)], 2000, "https://shop.example/cart")


def test_the_later_cart_wins_whichever_is_read_first() -> None:
    early, late = cart(T0, "a"), cart(T0 + 1, "b")
    assert cart_of(early, late) == cart_of(late, early)


def test_of_two_carts_of_one_millisecond_the_greater_event_id_wins() -> None:
    one, other = cart(T0, "a"), cart(T0, "b")
    assert cart_of(one, other) == cart_of(other, one)
    assert cart_of(one, other).changed_by == max(one.id, other.id)


def test_single_changes_add_up_and_take_away() -> None:
    found = cart_of(added(T0, "a", 2), added(T0 + 1, "b"), added(T0 + 2, "a"), removed(T0 + 3, "b"))
    assert (content(found), found.total) == ([("a", 3)], 300)


def test_single_changes_add_up_in_any_order_and_the_later_description_stays() -> None:
    first, second = added(T0, "a", 2, name="Old name"), added(T0 + 1, "a", name="New name")
    assert cart_of(first, second).items == cart_of(second, first).items
    assert cart_of(second, first).items[0].name == "New name"


def test_a_single_change_up_to_the_time_of_a_whole_cart_is_in_it_already() -> None:
    whole, single = cart(T0, "a"), added(T0, "b")
    assert content(cart_of(whole, single)) == content(cart_of(single, whole)) == [("a", 1)]


def test_taking_out_more_than_there_is_leaves_none() -> None:
    assert cart_of(added(T0, "a"), removed(T0 + 1, "a", 5), removed(T0 + 2, "x")).items == ()


def test_an_order_empties_the_cart_and_an_older_or_simultaneous_cart_does_not_refill_it() -> None:
    assert cart_of(cart(T0, "a"), order(T0 + 2), cart(T0 + 1, "b"), cart(T0 + 2, "c"), added(T0 + 2, "d")).items == ()


def test_an_order_that_is_read_late_leaves_a_newer_cart() -> None:
    assert content(cart_of(cart(T0 + 5, "a"), order(T0))) == [("a", 1)]


def test_prices_are_in_the_stores_currency_and_without_a_rate_there_is_none() -> None:
    settings = Settings(rates={"USD": Decimal("0.5")})
    assert cart_of(cart(T0, "a", price=1000, currency="USD"), settings=settings).total == 500
    unknown = cart_of(cart(T0, "a", price=1000, currency="GBP"), settings=settings)
    assert (unknown.items[0].price, unknown.total) == (None, 0)


def test_a_cart_keeps_its_first_items_up_to_its_bound() -> None:
    many = [f"p{n}" for n in range(ITEMS_MAX + 10)]
    assert len(cart_of(cart(T0, *many)).items) == ITEMS_MAX
    assert len(cart_of(*[added(T0 + n, name) for n, name in enumerate(many)]).items) == ITEMS_MAX


def test_a_long_text_of_a_source_is_cut_in_the_state() -> None:
    assert len(cart_of(added(T0, "a", name="x" * 100_000)).items[0].name or "") == 2_000


def entered_by(*events: Event) -> list[str]:
    life = Life(plan(scenario(on="cart_changed", entry_fields=("total",)))).feed(*events, watermark=0)
    return [decision.event for out in life.out for decision in out.decisions if decision.outcome == "entered"]


def test_a_cart_event_leads_to_a_cart_changed_only_if_the_content_differs() -> None:
    first, same, more = cart(T0, "a"), cart(T0 + 1, "a", url="https://shop.example/c"), cart(T0 + 2, "a", "b")
    assert entered_by(first, same, more) == [derived_event_id(one.id, "cart_changed") for one in (first, more)]


def test_an_order_acts_first_and_then_the_emptied_cart() -> None:
    on_order = scenario(name="a-order", on="order_placed")
    on_cart = scenario(name="b-cart", on="cart_changed", priority=99, entry_fields=("total", "at"))
    life = Life(plan(on_order, on_cart)).feed(cart(T0, "a"), order(T0 + 5))
    entered = [one for one in life.out[1].decisions if one.outcome == "entered"]
    assert [one.scenario for one in entered] == ["a-order", "b-cart"]


def test_an_entry_by_cart_changed_sees_and_keeps_the_new_content_as_plain_data() -> None:
    by_total = (Enter("cart_changed", when=expr(lambda env: env.event["total"] == 4000), again=Again("always")),)
    wide = scenario(Wait(HOUR, 1), on="cart_changed", entries=by_total, entry_fields=("items", "total", "url"))
    life = Life(plan(wide)).feed(cart(T0, "a", "b", url="https://shop.example/c"))
    item = {"quantity": 1, "price": 2000}
    assert life.known.enrolments[0].entry.data == {
        "items": [{"product_id": "a", **item}, {"product_id": "b", **item}],
        "total": 4000,
        "url": "https://shop.example/c",
    }
