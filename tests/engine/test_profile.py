"""What each event leaves in the profile, whatever the order in which the events are read."""

from decimal import Decimal
from itertools import permutations

from models.customer import Profile
from models.event import Event
from pipeline.engine.plan import Settings
from tests.engine.build import DAY, HOUR, MINUTE, T0, Life, event, order, plan, view

EURO = Settings(consent_default="granted", require_address=False, rates={"USD": Decimal("0.92")})


def profile_of(*events: Event) -> Profile:
    return Life(plan(settings=EURO)).feed(*events, watermark=0).known.profile


def test_an_order_counts_with_its_total() -> None:
    found = profile_of(order(T0, total=5000), order(T0 + DAY, "o2", total=2500))
    assert (found.orders, found.spent, found.first_order_at, found.last_order_at) == (2, 7500, T0, T0 + DAY)


def test_an_order_without_a_total_counts_the_sum_of_its_lines() -> None:
    lines = [{"product_id": "a", "price": 500, "quantity": 3}, {"product_id": "b", "price": 100}, {"product_id": "c"}]
    assert profile_of(event("order_placed", T0, order_id="o", items=lines)).spent == 1600


def test_an_amount_in_another_currency_is_converted_and_one_without_a_rate_is_counted_apart() -> None:
    found = profile_of(order(T0, total=10_000, currency="USD"), order(T0 + 1, "o2", total=9, currency="GBP"))
    assert (found.orders, found.spent, found.uncounted) == (2, 9200, 1)


def test_what_was_given_back_is_kept_apart_from_what_was_spent() -> None:
    found = profile_of(
        order(T0, total=5000),
        event("order_refunded", T0 + 1, order_id="o1", amount=1000),
        event("order_cancelled", T0 + 2, order_id="o1", items=[{"product_id": "p", "price": 200, "quantity": 2}]),
        event("order_returned", T0 + 3, order_id="o1"),
    )
    assert (found.spent, found.refunded, found.last_return_at) == (5000, 1400, T0 + 3)


def test_a_page_more_than_half_an_hour_after_the_last_one_is_a_new_visit() -> None:
    found = profile_of(view(T0), view(T0 + 30 * MINUTE), view(T0 + HOUR + 1), event("session_started", T0 + 2 * HOUR))
    assert (found.visits, found.last_visit_at) == (3, T0 + 2 * HOUR)


def test_a_page_that_is_read_late_is_no_new_visit() -> None:
    found = profile_of(view(T0 + DAY), view(T0))
    assert (found.visits, found.last_visit_at, found.first_seen) == (1, T0 + DAY, T0)


def test_opens_by_machines_are_not_believed() -> None:
    found = profile_of(
        event("message_opened", T0, machine=True), event("message_opened", T0 + 1), event("message_clicked", T0 + 2)
    )
    assert (found.opens, found.last_open_at, found.clicks, found.last_click_at) == (1, T0 + 1, 1, T0 + 2)


def test_only_the_customers_own_acts_are_signs_of_life() -> None:
    found = profile_of(view(T0), event("order_shipped", T0 + DAY, order_id="o1"))
    assert found.last_seen == T0


def test_the_last_rating_is_the_latest_by_its_own_time() -> None:
    found = profile_of(event("review_posted", T0 + 2, rating=2), event("review_posted", T0 + 1, rating=5))
    assert found.last_rating == 2


def test_recency_frequency_and_money_do_not_depend_on_the_order_of_reading() -> None:
    events = [
        order(T0 + 5, "o1", total=100), order(T0 + 1, "o2", total=50), event("review_posted", T0 + 3, rating=1),
        event("review_posted", T0 + 9, rating=4), event("message_opened", T0 + 7),
    ]  # fmt: skip
    found = [profile_of(*some) for some in permutations(events)]
    assert all(one == found[0] for one in found)
