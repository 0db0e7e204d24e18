"""Waits for a time and for an event: each counts by the enrolment's own clock, whatever is read early or late."""

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from models.event import Event
from pipeline.engine.plan import Alternative, Branch, Plan, Wait, WaitFor
from tests.engine.build import DAY, HOUR, MINUTE, T0, Life, event, expr, order, plan, scenario, send, view


def waiting_for(*alternatives: Alternative, at_most: int | None = 2 * HOUR, since_entry: bool = False) -> Plan:
    """Wait, then send "came" or, after the time-out, "timed_out"."""
    return plan(
        scenario(
            WaitFor(alternatives, 1, at_most, since_entry),
            send("timed_out", 3),
            send("came", 3),
            on="order_placed",
            event_fields=(("order_shipped", ("order_id", "carrier")), ("order_delivered", ("order_id",))),
            entry_fields=("order_id",),
        )
    )


SHIPPED = Alternative(2, on="order_shipped")


def shipped(at: int, name: str = "o1", **more: Any) -> Event:
    return event("order_shipped", at, order_id=name, **more)


def test_a_wait_counts_from_the_entry_events_time_though_it_is_read_later() -> None:
    life = Life(plan(scenario(Wait(HOUR, 1), send("one", 2)))).feed(view(T0, arrived=T0 + 30 * MINUTE))
    assert life.until(T0 + DAY).sends == [("one", T0 + HOUR)]


def test_waits_follow_each_other_on_the_enrolments_clock() -> None:
    steps = (Wait(HOUR, 1), send("one", 2), Wait(DAY, 3), send("two", 4))
    life = Life(plan(scenario(*steps))).feed(view(T0)).until(T0 + 10 * DAY)
    assert life.sends == [("one", T0 + HOUR), ("two", T0 + HOUR + DAY)]


def test_reading_something_else_early_moves_no_wait() -> None:
    steps = (Wait(HOUR, 1), send("one", 2), Wait(HOUR, 3), send("two", 4))
    life = (
        Life(plan(scenario(*steps))).feed(view(T0)).feed(event("review_posted", T0 + 5 * HOUR, rating=5), watermark=T0)
    )
    assert life.until(T0 + DAY).sends == [("one", T0 + HOUR), ("two", T0 + 2 * HOUR)]


def restarting() -> Plan:
    wait = Wait(45 * MINUTE, 1, restart_on="product_viewed", at_most_ms=3 * HOUR)
    return plan(scenario(wait, send("one", 2), event_fields=(("product_viewed", ()),)))


def test_restarts_count_by_their_own_time_in_any_order_of_reading() -> None:
    looks = [event("product_viewed", T0 + minutes * MINUTE) for minutes in (40, 80, 120)]
    for some in permutations(looks):
        life = Life(restarting()).feed(view(T0)).feed(*some, watermark=T0).until(T0 + DAY)
        assert life.sends == [("one", T0 + 165 * MINUTE)], [one.at - T0 for one in some]


def test_a_change_after_the_due_time_restarts_nothing() -> None:
    life = Life(restarting()).feed(view(T0)).feed(event("product_viewed", T0 + 46 * MINUTE), watermark=T0)
    assert life.until(T0 + DAY).sends == [("one", T0 + 45 * MINUTE)]


def test_a_change_at_the_millisecond_of_the_due_time_restarts() -> None:
    life = Life(restarting()).feed(view(T0)).feed(event("product_viewed", T0 + 45 * MINUTE), watermark=T0)
    assert life.until(T0 + DAY).sends == [("one", T0 + 90 * MINUTE)]


def test_a_change_before_the_wait_began_restarts_nothing() -> None:
    life = Life(restarting()).feed(event("product_viewed", T0 - 1), view(T0)).until(T0 + DAY)
    assert life.sends == [("one", T0 + 45 * MINUTE)]


def test_a_restarting_event_that_was_read_before_the_entry_counts() -> None:
    life = Life(restarting()).feed(event("product_viewed", T0 + 10 * MINUTE), view(T0), watermark=T0)
    assert life.until(T0 + DAY).sends == [("one", T0 + 55 * MINUTE)]


def test_the_first_that_comes_is_taken() -> None:
    life = Life(waiting_for(SHIPPED)).feed(order(T0), shipped(T0 + HOUR)).until(T0 + DAY)
    assert life.sends == [("came", T0 + HOUR)]


def test_without_it_the_time_out_is_taken() -> None:
    life = Life(waiting_for(SHIPPED)).feed(order(T0)).until(T0 + DAY)
    assert life.sends == [("timed_out", T0 + 2 * HOUR)]


def test_at_the_millisecond_of_the_time_out_the_event_wins() -> None:
    life = Life(waiting_for(SHIPPED)).feed(order(T0), shipped(T0 + 2 * HOUR)).until(T0 + DAY)
    assert life.sends == [("came", T0 + 2 * HOUR)]


def test_an_event_after_the_time_out_that_is_read_before_it_does_not_count() -> None:
    life = Life(waiting_for(SHIPPED)).feed(order(T0)).feed(shipped(T0 + 2 * HOUR + 1), watermark=T0)
    assert life.until(T0 + DAY).sends == [("timed_out", T0 + 2 * HOUR)]


def test_an_event_that_was_read_before_the_entry_counts_by_its_time() -> None:
    life = Life(waiting_for(SHIPPED)).feed(shipped(T0 + MINUTE), order(T0), watermark=T0).until(T0 + DAY)
    assert life.sends == [("came", T0 + MINUTE)]


def test_an_event_before_the_wait_counts_only_with_since_entry() -> None:
    def steps(since_entry: bool) -> Plan:
        wait_for = WaitFor((Alternative(3, on="order_shipped"),), 2, HOUR, since_entry)
        program = (Wait(DAY, 1), wait_for, send("timed_out", 4), send("came", 4))
        return plan(scenario(*program, on="order_placed", event_fields=(("order_shipped", ()),)))

    for since_entry, expected in ((True, ("came", T0 + DAY)), (False, ("timed_out", T0 + DAY + HOUR))):
        life = Life(steps(since_entry)).feed(order(T0), shipped(T0 + HOUR)).until(T0 + 10 * DAY)
        assert life.sends == [expected]


def test_of_two_remembered_events_the_earlier_one_is_the_first() -> None:
    ways = (Alternative(1, on="order_delivered"), Alternative(2, on="order_shipped"))
    events = [shipped(T0 + 1), event("order_delivered", T0 + 2, order_id="o1")]
    for some in permutations(events):
        life = Life(waiting_for(*ways)).feed(*some, order(T0), watermark=T0).until(T0 + DAY)
        assert life.sends == [("came", T0 + 1)]


def test_one_event_satisfies_one_wait_not_two() -> None:
    wait = WaitFor((Alternative(1, on="product_viewed"),), 3, HOUR)
    again = WaitFor((Alternative(2, on="product_viewed"),), 3, HOUR)
    looks = (("product_viewed", ()),)
    life = Life(plan(scenario(wait, again, send("twice", 3), event_fields=looks))).feed(
        view(T0), event("product_viewed", T0 + 1), event("product_viewed", T0 + 5)
    )
    assert life.sends == [("twice", T0 + 5)]


def test_where_decides_which_event_counts_and_as_keeps_its_fields() -> None:
    same = expr(lambda env: env.event["order_id"] == env.entry["order_id"])
    carrier = expr(lambda env: env.names["parcel"]["carrier"])
    base = waiting_for(Alternative(2, on="order_shipped", where=same, keep_as="parcel")).scenarios[0]
    told = send("came", 3, data=(("carrier", carrier),))
    life = Life(plan(replace(base, program=(*base.program[:2], told, base.program[3]))))
    life.feed(order(T0), shipped(T0 + 1, "other", carrier="X"), shipped(T0 + 2, carrier="Post"))
    assert [(one.due_at, one.data) for one in life.commands] == [(T0 + 2, {"carrier": "Post"})]


def test_a_condition_that_holds_already_goes_on_at_once() -> None:
    ready = Alternative(2, when=expr(lambda env: env.customer.profile.orders > 0))
    life = Life(waiting_for(ready)).feed(order(T0))
    assert life.sends == [("came", T0)]


def test_a_condition_is_looked_at_with_every_event() -> None:
    ready = Alternative(2, when=expr(lambda env: env.customer.profile.last_rating == 5))
    life = Life(waiting_for(ready)).feed(order(T0), event("review_posted", T0 + MINUTE, rating=5))
    assert life.sends == [("came", T0 + MINUTE)]


def test_a_wait_can_be_about_one_send_of_this_enrolment() -> None:
    program = (send("mail", 1), WaitFor((Alternative(2, on="message_opened", of="mail"),), 3, DAY), send("opened", 3))
    life = Life(plan(scenario(*program, event_fields=(("message_opened", ("command_id",)),)))).feed(view(T0))
    life.feed(event("message_opened", T0 + 1, command_id="of another"))
    assert [step for step, _ in life.sends] == ["mail"]
    life.receipt("opened", T0 + 2)
    assert life.sends[-1] == ("opened", T0 + 2)


def test_without_a_time_out_an_enrolment_waits_and_has_no_timer() -> None:
    life = Life(waiting_for(SHIPPED, at_most=None)).feed(order(T0)).until(T0 + 1000 * DAY)
    assert life.sends == []
    assert life.feed(shipped(T0 + 1000 * DAY)).sends == [("came", T0 + 1000 * DAY)]


def test_an_event_that_comes_very_late_still_satisfies_who_waits_for_it() -> None:
    life = Life(waiting_for(SHIPPED, at_most=DAY)).feed(order(T0), shipped(T0 + MINUTE, arrived=T0 + 5 * HOUR))
    assert life.out[-1].silent
    assert life.sends == [("came", T0 + MINUTE)]


def test_a_program_that_goes_in_a_circle_is_stopped() -> None:
    circle = plan(scenario(Branch(((None, 0),), 0)))
    with pytest.raises(RuntimeError, match="without a wait"):
        Life(circle).feed(view(T0))
