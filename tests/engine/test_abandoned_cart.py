"""The abandoned cart, by example: waits with restart, exits in mid-wait, limits, early and late reading."""

from models.customer import Customer
from tests.engine.build import DAY, HOUR, MINUTE, T0, Life, abandoned, cart, event, order, plan


def test_a_reminder_is_due_45_minutes_after_the_cart() -> None:
    life = Life().feed(cart(T0, "p1")).until(T0 + HOUR)
    assert life.sends == [("reminder", T0 + 45 * MINUTE)]


def test_a_timer_fires_only_before_the_watermark_never_at_it() -> None:
    life = Life().feed(cart(T0, "p1")).until(T0 + 45 * MINUTE)
    assert life.sends == []
    assert life.until(T0 + 45 * MINUTE + 1).sends != []


def test_the_wait_restarts_with_every_change_of_the_cart() -> None:
    life = Life().feed(cart(T0, "p1"), cart(T0 + 40 * MINUTE, "p1", "p2")).until(T0 + 2 * HOUR)
    assert life.sends == [("reminder", T0 + 85 * MINUTE)]


def test_a_cart_update_with_the_same_content_restarts_nothing() -> None:
    life = Life().feed(cart(T0, "p1"), cart(T0 + 40 * MINUTE, "p1")).until(T0 + HOUR)
    assert life.sends == [("reminder", T0 + 45 * MINUTE)]


def test_restarts_end_at_most_six_hours_after_the_wait_began() -> None:
    carts = [cart(T0 + 40 * MINUTE * n, *[f"p{i}" for i in range(n + 1)]) for n in range(12)]
    life = Life().feed(*carts).until(T0 + 7 * HOUR)
    assert life.sends == [("reminder", T0 + 6 * HOUR)]


def test_an_order_in_the_middle_of_a_wait_ends_it() -> None:
    life = Life().feed(cart(T0, "p1"), order(T0 + 30 * MINUTE)).until(T0 + 10 * DAY)
    assert life.sends == []
    assert ("exited", "order_placed") in life.reasons


def test_an_order_at_the_millisecond_of_the_timer_wins() -> None:
    life = Life().feed(cart(T0, "p1"), order(T0 + 45 * MINUTE)).until(T0 + DAY)
    assert life.sends == []


def test_three_messages_then_the_end() -> None:
    life = Life().feed(cart(T0, "p1")).until(T0 + 30 * DAY)
    first = T0 + 45 * MINUTE
    assert life.sends == [("reminder", first), ("urgency", first + 23 * HOUR), ("third", first + 71 * HOUR)]
    assert life.known.enrolments == ()


def test_an_order_after_the_reminder_cancels_it_while_it_is_unsettled() -> None:
    life = Life().feed(cart(T0, "p1")).until(T0 + HOUR).feed(order(T0 + HOUR))
    assert life.cancels == ["order_placed"]


def test_a_settled_reminder_is_not_cancelled() -> None:
    life = Life().feed(cart(T0, "p1")).until(T0 + HOUR)
    command = life.out[-1].commands[0].id
    life.feed(event("message_sent", T0 + HOUR, command_id=command), order(T0 + 2 * HOUR))
    assert life.cancels == []


def test_a_cancelled_message_that_went_out_all_the_same_is_counted() -> None:
    life = Life().feed(cart(T0, "p1")).until(T0 + HOUR).feed(order(T0 + HOUR))
    command = life.sends and life.out[1].commands[0].id
    life.feed(event("message_sent", T0 + HOUR + 1, command_id=command))
    assert ("settled", "sent_despite") in life.reasons


def test_a_cart_older_than_the_order_does_not_refill_it() -> None:
    life = Life().feed(order(T0 + 10), cart(T0, "p1", arrived=T0 + 20)).until(T0 + DAY)
    assert life.sends == []
    assert life.known.cold.cart.items == ()


def test_a_cart_read_after_the_order_that_paid_for_it_enters_nobody() -> None:
    life = Life().feed(order(T0 + 5 * MINUTE), watermark=T0).feed(cart(T0, "p1", arrived=T0 + 6 * MINUTE))
    assert life.until(T0 + DAY).sends == []


def test_a_cart_after_the_order_enters_anew() -> None:
    life = Life().feed(cart(T0, "p1"), order(T0 + MINUTE), cart(T0 + 2 * MINUTE, "p2")).until(T0 + HOUR)
    assert life.sends == [("reminder", T0 + 47 * MINUTE)]


def test_the_limit_of_three_in_seven_days_ends_the_fourth() -> None:
    events = [
        cart(T0, "p1"), order(T0 + 50 * MINUTE), cart(T0 + HOUR, "p1"), order(T0 + 2 * HOUR, "o2"),
        cart(T0 + 3 * HOUR, "p1"), order(T0 + 4 * HOUR, "o3"), cart(T0 + 5 * HOUR, "p1"),
    ]  # fmt: skip
    life = Life().feed(*events).until(T0 + DAY)
    assert len(life.sends) == 3
    assert ("suppressed", "limit") in life.reasons
    assert ("exited", "limit") in life.reasons


def test_a_repeated_event_id_changes_nothing() -> None:
    life = Life().feed(cart(T0, "p1"))
    before = life.known
    life.feed(cart(T0, "p1"))
    assert life.out[-1].duplicate
    assert life.known == before


def test_a_cart_that_was_emptied_ends_it() -> None:
    life = Life().feed(cart(T0, "p1"), cart(T0 + MINUTE)).until(T0 + DAY)
    assert life.sends == []
    assert ("exited", "empty cart") in life.reasons


def test_an_old_event_updates_the_profile_and_starts_nothing() -> None:
    life = Life().feed(cart(T0, "p1", arrived=T0 + 2 * HOUR), order(T0 + MINUTE, arrived=T0 + 2 * HOUR + 1))
    assert life.until(T0 + 10 * DAY).sends == []
    assert life.known.profile.orders == 1
    assert life.out[0].silent


def test_an_old_order_still_ends_the_enrolment() -> None:
    life = Life().feed(cart(T0, "p1"), order(T0 + MINUTE, arrived=T0 + 30 * MINUTE), silent=False)
    assert life.until(T0 + DAY).sends == []


def test_an_entry_after_an_exit_that_was_read_early_enters_when_it_ends() -> None:
    # Two carts and the order between them, read in the order cart, cart, order.
    life = Life().feed(cart(T0, "p1"), cart(T0 + 20 * MINUTE, "p1", "p2"), watermark=T0)
    life.feed(order(T0 + 10 * MINUTE), watermark=T0)
    life.until(T0 + 2 * HOUR)
    assert life.sends == [("reminder", T0 + 65 * MINUTE)]


def test_command_ids_do_not_depend_on_the_version() -> None:
    one = Life(plan(abandoned())).feed(cart(T0, "p1")).until(T0 + HOUR)
    two = Life(plan(abandoned(version="2"))).feed(cart(T0, "p1")).until(T0 + HOUR)
    assert [c.id for out in one.out for c in out.commands] == [c.id for out in two.out for c in out.commands]


def test_erasure_removes_the_customer_and_cancels_what_is_unsent() -> None:
    life = Life().feed(cart(T0, "p1")).until(T0 + HOUR).feed(event("erasure_requested", T0 + HOUR))
    assert life.customer is None
    assert life.cancels == ["erasure"]


def test_a_step_leaves_the_customer_that_it_was_given_as_it_was() -> None:
    life = Life().feed(cart(T0, "p1"))
    before: Customer = life.known
    copy = repr(before)
    life.feed(order(T0 + MINUTE))
    assert repr(before) == copy
