"""Two segments as an acceptance test: people inside and just outside each boundary, entering by event and by time.

Women over 60 who bought an anti-age product about six months ago; men of 20 who looked at that category, asked in a
chat, and buy often. The plan is a folder as a store writes it: `tests/plans/two-segments`.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from models.event import Event
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.sources import read_sources
from tests.engine.build import DAY, HOUR, MINUTE, Life, event

PLAN = compile_plan(read_sources(Path(__file__).parents[1] / "plans" / "two-segments"))
PARIS = ZoneInfo("Europe/Paris")
START = round(datetime(2026, 1, 5, 10, tzinfo=UTC).timestamp() * 1000)
HALF_YEAR, TOO_LONG = 165 * DAY, 200 * DAY


def midnight(text: str) -> int:
    """Return the beginning of a day in the store's zone."""
    return round(datetime.fromisoformat(text).replace(tzinfo=PARIS).timestamp() * 1000)


def counts_until(at: int, window: int) -> int:
    """Return when a window lets go of an event: at the end of its 60th of the window."""
    bucket = window // 60
    return (at // bucket + 1) * bucket + window


def person(at: int = START, **said: Any) -> Event:
    return event("customer_updated", at, **said)


def bought(at: int, category: str = "anti-age") -> Event:
    items = [{"product_id": "p0", "price": 900, "category": "soap"}]
    items += [{"product_id": "p1", "price": 2000, "category": category}]
    return event("order_placed", at, order_id=f"o{at}", items=items)


def entered(life: Life, scenario: str) -> list[int]:
    found = [one for out in life.out for one in out.decisions]
    return [one.at for one in found if (one.outcome, one.scenario) == ("entered", scenario)]


# Women over 60, six months after.
SHE = {"gender": "female", "birthday": "1960-03-01"}


def her_life(*events: Event, days: int = 400, **said: Any) -> Life:
    known = person(**{**SHE, **said})
    return Life(PLAN).feed(*sorted([known, *events], key=lambda one: one.at)).until(START + days * DAY)


def test_six_months_after_the_purchase_time_alone_brings_her_in_and_takes_her_out() -> None:
    life = her_life(bought(START + 1))
    begin, end = counts_until(START + 1, HALF_YEAR), counts_until(START + 1, TOO_LONG)
    assert 0 < begin - START - HALF_YEAR <= HALF_YEAR // 60 + 1
    assert entered(life, "remember") == [begin]
    assert life.sends == [("reminder", begin), ("advice", begin + 5 * DAY)]
    assert "remember" in her_life(bought(START + 1), days=(end - START) // DAY).known.tracked.segments
    assert life.known.tracked.segments == ()


@pytest.mark.parametrize(
    ("said", "bought_what"),
    [
        ({"gender": "male"}, "anti-age"),
        ({"gender": None}, "anti-age"),
        ({"birthday": None}, "anti-age"),
        ({}, "make-up"),
    ],
)
def test_one_thing_that_does_not_fit_keeps_her_out(said: dict[str, Any], bought_what: str) -> None:
    assert entered(her_life(bought(START + 1, bought_what), **said), "remember") == []


def test_she_is_over_60_from_her_61st_birthday_on_at_midnight_where_the_store_is() -> None:
    # 61 within the window: the birthday itself brings her in, with no event of hers.
    begin = counts_until(START + 1, HALF_YEAR)
    birthday = "1965-07-10"
    turns = midnight("2026-07-10")
    assert begin < turns < counts_until(START + 1, TOO_LONG)
    assert entered(her_life(bought(START + 1), birthday=birthday), "remember") == [turns]
    # 61 a day after the window let go of the purchase: too late.
    late = datetime.fromtimestamp(counts_until(START + 1, TOO_LONG) / 1000 + 86_400, PARIS)
    assert entered(her_life(bought(START + 1), birthday=f"1965-{late:%m-%d}"), "remember") == []


def test_what_she_says_of_herself_brings_her_in_at_once_within_the_window_and_not_outside_it() -> None:
    begin, end = counts_until(START, HALF_YEAR), counts_until(START, TOO_LONG)
    for told_at, within in ((begin - 1, True), (begin, True), (end - 1, True), (end, False)):
        life = Life(PLAN).feed(bought(START)).feed(person(told_at, **SHE)).until(START + 400 * DAY)
        assert entered(life, "remember") == ([max(told_at, begin)] if within else []), told_at - begin


def test_a_second_purchase_begins_the_half_year_anew_and_ends_what_was_planned() -> None:
    first = counts_until(START, HALF_YEAR)
    again = first + 2 * DAY
    life = her_life(bought(START), bought(again), days=600)
    assert entered(life, "remember") == [first, counts_until(again, HALF_YEAR)]
    assert [step for step, _ in life.sends] == ["reminder", "reminder", "advice"]
    assert ("exited", "segment_left") in life.reasons


# Men of 20 who looked, asked and buy often.
HE = {"gender": "male", "birthday": "2005-12-01"}
ORDERS = (0, 40, 80)
LOOKED = START + 81 * DAY
ASKED = LOOKED + DAY


def his(*, orders: tuple[int, ...] = ORDERS, looked: int = LOOKED, asked: int = ASKED, **said: Any) -> list[Event]:
    person_said = {name: said.pop(name) for name in ("gender", "birthday") if name in said}
    found = [person(START - 1, **{**HE, **person_said})]
    found += [bought(START + day * DAY, "soap") for day in orders]
    found += [event("product_viewed", looked, product_id="p1", category=said.get("category", "anti-age"))]
    contact = {"medium": said.get("medium", "chat"), "kind": said.get("kind", "question")}
    found += [replace(event("contact_made", asked), data=contact)]
    return sorted(found, key=lambda one: one.at)


def his_life(*events: Event) -> Life:
    return Life(PLAN).feed(*events).until(START + 700 * DAY)


def test_the_last_thing_that_was_missing_brings_him_in_whichever_it_is() -> None:
    assert entered(his_life(*his()), "curious") == [ASKED]
    assert entered(his_life(*his(looked=ASKED + HOUR)), "curious") == [ASKED + HOUR]
    later = his(orders=(0, 40), looked=LOOKED, asked=ASKED)
    third = START + 85 * DAY
    assert entered(his_life(*later, bought(third, "soap")), "curious") == [third]
    life = his_life(*his())
    assert life.sends == [("answer", ASKED)]
    assert life.known.tracked.segments == ()


@pytest.mark.parametrize(
    "differs",
    [
        {"gender": "female"},
        {"category": "soap"},
        {"medium": "shop"},
        {"kind": "complaint"},
        {"orders": (0, 40)},
        {"orders": (0, 46, 92), "looked": START + 93 * DAY, "asked": START + 94 * DAY},
    ],
)
def test_one_thing_that_does_not_fit_keeps_him_out(differs: dict[str, Any]) -> None:
    assert entered(his_life(*his(**differs)), "curious") == []


def test_often_is_every_45_days_and_not_every_46() -> None:
    often = his(orders=(0, 45, 90), looked=START + 91 * DAY, asked=START + 92 * DAY)
    assert entered(his_life(*often), "curious") == [START + 92 * DAY]


def test_a_look_counts_for_thirty_days_and_the_rest_of_its_bucket() -> None:
    over = counts_until(LOOKED, 30 * DAY)
    assert 30 * DAY < over - LOOKED <= 30 * DAY + 12 * HOUR
    assert entered(his_life(*his(asked=over - 1)), "curious") == [over - 1]
    assert entered(his_life(*his(asked=over)), "curious") == []


def test_he_is_20_from_his_birthday_to_the_day_before_the_next() -> None:
    turns = midnight("2026-04-05")  # after the question, while his look still counts
    assert ASKED < turns < counts_until(LOOKED, 30 * DAY)
    assert entered(his_life(*his(birthday="2006-04-05")), "curious") == [turns]
    # 21 on that day: in until the minute before, out from its beginning.
    assert entered(his_life(*his(birthday="2005-04-05", asked=turns - MINUTE)), "curious") == [turns - MINUTE]
    assert entered(his_life(*his(birthday="2005-04-05", asked=turns)), "curious") == []


def test_two_people_and_neither_is_taken_for_the_other() -> None:
    hers, mine = her_life(bought(START + 1)), his_life(*his())
    assert entered(hers, "curious") == []
    assert entered(mine, "remember") == []
