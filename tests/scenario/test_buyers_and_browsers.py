"""Rules of the field for who buys and who looks, each against a naive reading of the same log.

Nurturing speaks to nobody before a purchase, and gives no hints after a return; whoever buys gets no mail about looking
at it; the first purchase is the first; the loyal have earned it.
"""

from collections.abc import Callable
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from models.command import Command
from models.event import Event
from tests.engine.build import DAY, T0
from tests.scenario.shop_life import Answered, Row, events_of, shipped
from tests.scenario.test_shipped_properties import LIVES

WEEK = 7 * DAY
# A count in a window may keep an event for a 60th of it too long.
COUNTED = WEEK + WEEK // 60
BUYING = (*("order",) * 3, "delivered", "delivered", "returned", "cancelled", "complaint", "review")
LOOKING = (*("product",) * 8, "added", "removed", "cart", "empty", "order")


def lives(kinds: tuple[str, ...], size: int, days: int = 60) -> st.SearchStrategy[list[Row]]:
    """Return rows over two months: shorter lives reach no scenario that waits for weeks."""
    late = st.sampled_from((0, 0, 0, 40))
    return st.lists(
        st.tuples(st.integers(0, days * 24 * 60), st.sampled_from(kinds), st.integers(0, 2), late), max_size=size
    )


def lived(some: list[Row]) -> Answered:
    return Answered(shipped("granted")).live(events_of(some, T0), T0 + 110 * DAY)


def each(life: Answered, look: Callable[[Command, list[Event]], None], *scenarios: str) -> int:
    """Look at every command of some scenarios, with the events that the log held before it; return how many."""
    before: list[Event] = []
    found = 0
    for done, event in zip(life.out, life.inputs, strict=True):
        if event is not None:
            before.append(event)
        for command in done.commands:
            if command.scenario in scenarios:
                # Timers that were due come before the event that the log holds next.
                look(command, [one for one in before if one.at <= command.emitted_at])
                found += 1
    return found


def of(before: list[Event], *kinds: str) -> list[Event]:
    return [one for one in before if one.type in kinds]


def products(event: Event) -> list[str]:
    return [line["product_id"] for line in event.data.get("items", ())]


def nurtured(command: Command, before: list[Event]) -> None:
    assert of(before, "order_placed"), "nothing was bought yet"
    unhappy = [one for one in of(before, "contact_made") if one.data["kind"] == "complaint"]
    unhappy += of(before, "order_returned") + [one for one in of(before, "review_posted") if one.data["rating"] <= 2]
    if command.step == "what_went_wrong":
        assert unhappy, "nothing had gone wrong"
    else:
        assert not of(before, "order_returned"), "something was returned"


@settings(max_examples=LIVES)
@given(lives(BUYING, 12))
def test_nurturing_never_speaks_before_a_purchase_nor_after_a_return(some: list[Row]) -> None:
    each(lived(some), nurtured, "nurturing")


@settings(max_examples=LIVES)
@given(lives(BUYING, 12))
def test_what_went_wrong_is_asked_once_in_sixty_days(some: list[Row]) -> None:
    asked = [one.emitted_at for one in lived(some).commands if one.step == "what_went_wrong"]
    assert all(later - earlier >= 60 * DAY for earlier, later in pairwise(asked))


def browsed(command: Command, before: list[Event]) -> None:
    orders = of(before, "order_placed")
    carts = of(before, "cart_updated", "cart_item_added", "cart_item_removed")
    assert all(command.emitted_at - one.at > WEEK for one in orders), "an order this week"
    looks = [one for one in of(before, "product_viewed") if command.emitted_at - one.at <= COUNTED + 5 * DAY]
    assert len(looks) >= 3
    if command.step.startswith("product"):
        [item] = command.data["items"]
        name = item["product_id"]
        assert all(name not in products(one) for one in orders), "it was bought"
        assert len([one for one in looks if one.data["product_id"] == name]) >= 3, "it was not looked at repeatedly"
        put = [one for one in carts if one.data.get("product_id") == name or name in products(one)]
        assert all(command.emitted_at - one.at > WEEK for one in put), "it was in the cart this week"


@settings(max_examples=LIVES)
@given(lives(LOOKING, 30, 16))
def test_who_buys_or_carts_a_product_gets_no_mail_about_looking_at_it(some: list[Row]) -> None:
    each(lived(some), browsed, "browse-abandonment")


def first(command: Command, before: list[Event]) -> None:
    assert command.reason.event_id == of(before, "order_placed")[0].id


@settings(max_examples=LIVES)
@given(lives(BUYING, 12))
def test_the_first_purchase_is_the_first_alone(some: list[Row]) -> None:
    life = lived(some)
    each(life, first, "first-purchase")
    steps = [one.step for one in life.commands if one.scenario == "first-purchase"]
    assert len(steps) == len(set(steps))


def earned(command: Command, before: list[Event]) -> None:
    wanted = {"thanks": 2, "loyal_offer": 5, "vip_offer": 10, "new_products": 5}[command.step]
    orders = of(before, "order_placed")
    spent = sum(line["price"] * line.get("quantity", 1) for one in orders for line in one.data["items"])
    vip = spent >= 1_000_00
    assert len(orders) >= wanted or (vip and command.step in {"vip_offer", "new_products"})


@settings(max_examples=LIVES)
@given(lives(("order",), 14))
def test_the_loyal_have_earned_it_and_are_told_once(some: list[Row]) -> None:
    life = lived(some)
    each(life, earned, "loyalty")
    steps = [one.step for one in life.commands if one.scenario == "loyalty" and one.step != "new_products"]
    assert len(steps) == len(set(steps))


def rows(kind: str, days: list[int], which: int = 1) -> list[Row]:
    return [(day * 24 * 60 + number, kind, which, 0) for number, day in enumerate(days)]


def test_the_lives_reach_what_they_are_to_prove() -> None:
    happy = lived(rows("order", [0]) + rows("delivered", [2]))
    assert each(happy, nurtured, "nurturing") == 1, "the hints come from the first purchase"
    assert each(happy, first, "first-purchase") == 3
    unhappy = lived(rows("order", [0]) + rows("delivered", [2]) + rows("returned", [5]))
    assert [one.step for one in unhappy.commands if one.scenario == "nurturing"] == ["what_went_wrong"]
    assert each(lived(rows("product", [0, 1, 2])), browsed, "browse-abandonment") == 2
    assert each(lived(rows("product", [0, 1, 2]) + rows("order", [2])), browsed, "browse-abandonment") == 0
    assert each(lived(rows("order", [0, 9, 18, 27, 36])), earned, "loyalty") == 3
