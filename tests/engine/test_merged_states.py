"""Points, counts, pages and hours after a sign-in: one person's, as if they had always been known."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from models.customer import Cold, Consent, Customer
from models.event import Event
from pipeline.engine.merging import merged_cold
from pipeline.engine.plan import Plan
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.sources import PlanSources
from tests.engine.build import DAY, HOUR, T0, event
from tests.engine.people import People, sign_in

SETTINGS = """\
consent_default: granted
require_address: false
scores:
  lead: {half_life: 3d, events: {product_viewed: 10}}
  kept: {events: {product_viewed: 1, message_clicked: 3}}
segments:
  keen: count("product_viewed", "9d", event.category == "cream") >= 3
  reader: has(profile.pages.guide) && profile.pages.guide.visits >= 4
"""
SCENARIO = """\
scenario: {name}
title: x
purpose: marketing
enter: {enter}
steps: [{until: {best_hour: {of: email}}}, {send: hello, channel: webhook}]
"""
ENTER = {
    "reached": "{on: score_reached, score: kept, at_least: 4}",
    "keen": "{on: segment_entered, segment: keen}",
    "reader": "{on: segment_entered, segment: reader}",
    "warm": "{on: score_reached, score: lead, at_least: 25}",
    "again": '{on: product_viewed, when: \'count_same("product_viewed", "product_id", "9d") >= 2\', again: always}',
}


def everything() -> Plan:
    files = {"settings.yaml": SETTINGS}
    for name, enter in ENTER.items():
        files[f"{name}/scenario.yaml"] = SCENARIO.replace("{name}", name).replace("{enter}", enter)
    return compile_plan(PlanSources(files))


PLAN = everything()
V = "anon:v"


def seen(number: int, hours: int, customer: str) -> Event:
    more: dict[str, Any] = {"product_id": f"p{number % 3}", "category": ("cream", "soap")[number % 2]}
    more |= {"page_type": ("guide", "product")[number % 2], "time_on_page": 1_000 * number, "salt": str(number)}
    kind = "message_clicked" if number % 5 == 4 else "product_viewed"
    if kind == "message_clicked":
        more = {"command_id": "x", "channel": "email", "salt": str(number)}
    return event(kind, T0 + hours * HOUR, customer, **more)


def counted(customer: Customer) -> tuple[Any, ...]:
    cold, tracked = customer.cold, customer.tracked
    same = {key: dict(sorted(table.items())) for key, table in cold.same.items()}
    return tracked.scores["kept"][0], tracked.counts, same, dict(sorted(cold.pages.items())), cold.hours


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 7 * 24), st.booleans()), min_size=1, max_size=25))
def test_what_is_counted_of_a_person_is_the_same_with_and_without_an_anonymous_part(
    rows: list[tuple[int, bool]],
) -> None:
    rows = sorted(rows)
    first = seen(0, 0, "c1")
    split = [first, *(seen(n, at, V if mine else "c1") for n, (at, mine) in enumerate(rows, 1))]
    known = [first, *(seen(n, at, "c1") for n, (at, _) in enumerate(rows, 1))]
    end = T0 + 8 * DAY
    two = People(PLAN).feed(*split, seen(0, 7 * 24, V), sign_in(end)).until(end + 1).known["c1"]
    one = People(PLAN).feed(*known, seen(0, 7 * 24, "c1")).until(end + 1).known["c1"]
    assert counted(two) == counted(one)


def test_the_points_of_both_together_reach_what_neither_reached() -> None:
    people = People(PLAN).feed(seen(0, 0, "c1"), seen(2, 1, "c1"), seen(6, 2, V), seen(8, 2, V))
    assert people.sends == []
    people.feed(sign_in(T0 + 4 * HOUR)).until(T0 + 5 * HOUR)
    steps = {(one.scenario, one.customer) for one in people.commands}
    assert steps == {("keen", "c1"), ("reached", "c1"), ("reader", "c1"), ("warm", "c1")}


def test_a_pause_stands_beside_the_word_that_it_interrupts() -> None:
    word = Consent(channel="email", purpose="marketing", given=True, at=T0, event="a")
    pause = Consent(channel="email", purpose="marketing", given=False, at=T0 + 1, event="b", until=T0 + DAY)
    found = merged_cold(Cold(consents=(word,)), Cold(consents=(pause,)), Cold().cart)
    assert found.consents == (word, pause)
