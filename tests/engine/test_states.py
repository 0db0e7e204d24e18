"""Segments, levels, scores, counts and dates: what moves them, events and time alike."""

from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.engine.plan import Plan
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.sources import PlanSources
from tests.engine.build import DAY, HOUR, MINUTE, Life, event, order

SETTINGS = "consent_default: granted\nrequire_address: false\n"
SCENARIO = """\
scenario: one
title: One
purpose: marketing
enter: {enter}
steps: {steps}
"""
HELLO = "[{send: hello, channel: webhook}]"
START = round(datetime(2026, 1, 5, 10, tzinfo=UTC).timestamp() * 1000)


def plan_of(enter: str, settings: str = "", steps: str = HELLO, **more: Any) -> Plan:
    text = SCENARIO.replace("{enter}", enter).replace("{steps}", steps)
    return compile_plan(PlanSources({"settings.yaml": SETTINGS + settings, "one/scenario.yaml": text}), **more)


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def test_a_customer_becomes_inactive_with_no_event_of_theirs() -> None:
    under = plan_of("{on: level_fell, of: activity, when: 'event.to == \"inactive\"', again: always}")
    life = Life(under).feed(event("page_viewed", START)).until(START + 400 * DAY)
    assert [at for _, at in life.sends] == [START + 60 * DAY + 1]
    assert life.known.tracked.levels == {"activity": "lost"}


def test_a_visit_moves_the_fall_of_a_level_on() -> None:
    under = plan_of("{on: level_fell, of: activity, when: 'event.to == \"inactive\"', again: always}")
    life = Life(under).feed(event("page_viewed", START), event("page_viewed", START + 30 * DAY)).until(START + 89 * DAY)
    assert life.sends == []
    assert [at for _, at in life.until(START + 91 * DAY).sends] == [START + 90 * DAY + 1]


def test_a_segment_is_entered_by_the_event_that_makes_it_true() -> None:
    under = plan_of("{on: segment_entered, segment: big}", "segments: {big: profile.spent >= 30}\n")
    life = Life(under).feed(order(START, "o1"))
    assert life.sends == []
    life.feed(order(START + HOUR, "o2"))
    assert life.sends == [("hello", START + HOUR)]


def test_a_count_falls_out_of_its_window_by_time() -> None:
    settings = 'segments:\n  keen: count("product_viewed", "7d", event.category == "cream") >= 2\n'
    under = plan_of("{on: segment_left, segment: keen, again: always}", settings)
    life = Life(under)
    for number, category in enumerate(("cream", "soap", "cream")):
        life.feed(event("product_viewed", START + number * MINUTE, product_id=f"p{number}", category=category))
    assert life.known.tracked.segments == ("keen",)
    ((_, at),) = life.until(START + 30 * DAY).sends
    assert START + 7 * DAY < at <= START + 7 * DAY + 7 * DAY // 60 + MINUTE


def test_count_same_counts_the_value_at_hand() -> None:
    when = 'count_same("product_viewed", "product_id", "1d") == 2'
    life = Life(plan_of(f"{{on: product_viewed, when: '{when}', again: always}}"))
    for number, product in enumerate(("a", "b", "a", "c")):
        life.feed(event("product_viewed", START + number * MINUTE, product_id=product))
    assert life.sends == [("hello", START + 2 * MINUTE)]


def test_a_score_is_reached_once_and_halves_with_time() -> None:
    settings = "scores: {lead: {half_life: 10d, events: {page_viewed: 6}}}\n"
    under = plan_of("{on: score_reached, score: lead, at_least: 10, again: always}", settings)
    life = Life(under).feed(event("page_viewed", START))
    assert life.sends == []
    life.feed(event("page_viewed", START + MINUTE), event("page_viewed", START + 2 * MINUTE))
    assert life.sends == [("hello", START + MINUTE)]
    life.until(START + 30 * DAY)
    assert life.known.tracked.segments == ()
    life.feed(event("page_viewed", START + 31 * DAY), event("page_viewed", START + 31 * DAY + MINUTE))
    assert len(life.sends) == 2


def test_steps_write_attributes_and_points_that_move_segments() -> None:
    settings = (
        "attributes: {gave_up_at: time}\nscores: {lead: {}}\n"
        "segments: {gone: has(customer.gave_up_at), warm: score('lead') >= 5}\n"
        "silence: [{purpose: marketing, when: has(customer.gave_up_at)}]\n"
    )
    steps = (
        "[{score: {lead: 5}}, {set: {gave_up_at: now}}, {wait_for: [{on: page_viewed}]}, {send: x, channel: webhook}]"
    )
    under = plan_of('{on: cart_changed, when: \'!segment("gone") && !segment("warm")\'}', settings, steps)
    life = Life(under).feed(event("cart_updated", START, items=[{"product_id": "p"}]))
    assert life.known.tracked.segments == ("warm", "gone")
    life.feed(event("page_viewed", START + MINUTE))
    assert ("suppressed", "silence") in life.reasons


def test_a_birthday_comes_every_year_in_the_customers_zone() -> None:
    enter = "{on: {date: customer.birthday, offset: -7d, time: '09:00', every: year}}"
    person = event("customer_updated", START, birthday="1990-06-17", timezone="Europe/Paris")
    life = Life(plan_of(enter)).feed(person).until(START + 800 * DAY)
    assert [at for _, at in life.sends] == [ms("2026-06-10T07:00"), ms("2027-06-10T07:00")]


def test_a_day_of_the_month_comes_by_the_local_clock() -> None:
    enter = "{on: {every: month, day: 31, time: '10:00'}}"
    person = event("customer_updated", START, timezone="Europe/Paris")
    life = Life(plan_of(enter)).feed(person).until(ms("2026-05-01T00:00"))
    expected = ["2026-01-31T09:00", "2026-02-28T09:00", "2026-03-31T08:00", "2026-04-30T08:00"]
    assert [at for _, at in life.sends] == [ms(text) for text in expected]


TWO = """\
segments:
  remember: >-
    customer.gender == "female" && years(customer.birthday) > 60
    && count("order_placed", "200d", event.items.exists(i, i.category == "anti-age")) > 0
    && count("order_placed", "165d", event.items.exists(i, i.category == "anti-age")) == 0
  curious: >-
    customer.gender == "male" && years(customer.birthday) >= 20 && years(customer.birthday) < 30
    && count("product_viewed", "30d", event.category == "anti-age") > 0
    && count("contact_made", "30d", event.medium == "chat") > 0
    && profile.orders >= 3 && profile.days_between_orders <= 45
"""


def bought(at: int, name: str) -> Any:
    return event("order_placed", at, order_id=name, items=[{"product_id": "p1", "price": 2000, "category": "anti-age"}])


def test_women_over_60_who_bought_an_anti_age_product_about_six_months_ago() -> None:
    under = plan_of("{on: segment_entered, segment: remember}", TWO)
    for birthday, reached in (("1960-01-01", True), ("1990-01-01", False)):
        person = event("customer_updated", START, gender="female", birthday=birthday)
        life = Life(under).feed(person, bought(START, "o1")).until(START + 400 * DAY)
        assert bool(life.sends) is reached
        for _, at in life.sends:
            assert START + 165 * DAY < at <= START + 168 * DAY
        assert life.known.tracked.segments == ()


def test_men_of_20_who_looked_asked_in_a_chat_and_buy_often() -> None:
    under = plan_of("{on: segment_entered, segment: curious}", TWO)
    person = event("customer_updated", START, gender="male", birthday="2003-01-01")
    life = Life(under).feed(person, *(bought(START + number * 10 * DAY, f"o{number}") for number in range(3)))
    life.feed(event("product_viewed", START + 21 * DAY, product_id="p1", category="anti-age"))
    assert life.sends == []
    life.feed(event("contact_made", START + 22 * DAY, medium="chat"))
    assert life.sends == [("hello", START + 22 * DAY)]


def test_what_is_true_at_activation_enters_nobody_unless_the_scenario_says_so() -> None:
    settings = "segments: {buyers: profile.orders > 0}\n"
    before = plan_of("{on: page_viewed, when: profile.orders > 99}", settings)
    text = SCENARIO.replace("one", "two").replace("{steps}", HELLO)
    for existing, sent in (("no", 0), ("yes", 1), ("spread", 1)):
        life = Life(before).feed(order(START, "o1"))
        enter = f"{{on: segment_entered, segment: buyers, existing: {existing}}}"
        files = {"settings.yaml": SETTINGS + settings, "two/scenario.yaml": text.replace("{enter}", enter)}
        after = compile_plan(PlanSources(files))
        after.known[before.hash] = ("one",)
        life.plan = after
        life.until(START + 8 * DAY)
        assert len(life.sends) == sent, existing
        assert life.known.tracked.segments == ("buyers",)


def test_what_nothing_uses_is_not_computed() -> None:
    life = Life(plan_of("{on: cart_changed}", TWO)).feed(bought(START, "o1"), event("page_viewed", START + 1))
    assert life.known.tracked.due is None
    assert life.known.tracked.counts == {}


@pytest.mark.parametrize("again", ["always", "once"])
def test_a_birthday_that_a_change_of_zone_moves_comes_once(again: str) -> None:
    enter = f"{{on: {{date: customer.birthday, time: '09:00', every: year}}, again: {again}}}"
    born = event("customer_updated", START, birthday="1990-06-17", timezone="Europe/Paris")
    west = event("customer_updated", ms("2026-06-17T08:00"), timezone="America/New_York")
    life = Life(plan_of(enter)).feed(born, west).until(ms("2026-12-01T00:00"))
    assert [at for _, at in life.sends] == [ms("2026-06-17T07:00")]
    refused = [one.reason for out in life.out for one in out.decisions if one.outcome == "not_entered"]
    assert refused == ["again"]


def test_a_birthday_whose_hour_a_change_of_zone_moves_into_the_past_comes_at_the_change() -> None:
    enter = "{on: {date: customer.birthday, time: '09:00', every: year}}"
    born = event("customer_updated", START, birthday="1990-06-17", timezone="America/New_York")
    east = event("customer_updated", ms("2026-06-17T08:00"), timezone="Europe/Paris")
    life = Life(plan_of(enter)).feed(born, east).until(ms("2027-12-01T00:00"))
    assert [at for _, at in life.sends] == [ms("2026-06-17T08:00"), ms("2027-06-17T07:00")]


def test_a_change_of_zone_long_before_or_after_the_date_changes_its_hour_alone() -> None:
    enter = "{on: {date: customer.birthday, time: '09:00', every: year}}"
    born = event("customer_updated", START, birthday="1990-06-17", timezone="America/New_York")
    moves = [
        event("customer_updated", ms("2026-05-01T08:00"), timezone="Asia/Tokyo"),
        event("customer_updated", ms("2026-07-01T08:00"), timezone="Europe/Paris"),
    ]
    life = Life(plan_of(enter)).feed(born, *moves).until(ms("2027-12-01T00:00"))
    assert [at for _, at in life.sends] == [ms("2026-06-17T00:00"), ms("2027-06-17T07:00")]
