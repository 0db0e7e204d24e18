"""Days of the calendar and dates of the customer, in zones on both sides of the world and over changes of the clock."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.engine.plan import Plan
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.sources import PlanSources
from tests.engine.build import DAY, Life, event

ZONES = ("Europe/Paris", "America/Los_Angeles", "Pacific/Kiritimati", "Australia/Lord_Howe", "Asia/Kolkata", "UTC")
START = datetime(2026, 1, 5, 10, tzinfo=UTC)
T0 = round(START.timestamp() * 1000)


def plan_of(on: str) -> Plan:
    text = (
        f"scenario: one\ntitle: x\npurpose: marketing\nenter: {{on: {on}}}\nsteps: [{{send: hi, channel: webhook}}]\n"
    )
    settings = "consent_default: granted\nrequire_address: false\nattributes: {due_on: date}\n"
    return compile_plan(PlanSources({"settings.yaml": settings, "one/scenario.yaml": text}))


def moments(on: str, zone: str, days: int, **more: Any) -> list[datetime]:
    """Return when the entry comes, by the customer's clock, without its zone."""
    life = Life(plan_of(on)).feed(event("customer_updated", T0, timezone=zone, **more)).until(T0 + days * DAY)
    return [
        datetime.fromtimestamp(at / 1000, UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) for _, at in life.sends
    ]


@pytest.mark.parametrize("zone", ZONES)
def test_every_day_comes_once_a_day_at_its_hour(zone: str) -> None:
    found = moments("{every: day, time: '10:30'}", zone, 365)
    days = [one.date() for one in found]
    assert all(later - first == timedelta(days=1) for first, later in pairwise(days))
    assert len(days) >= 364 and all((one.hour, one.minute) == (10, 30) for one in found)


@pytest.mark.parametrize("zone", ZONES)
def test_every_week_month_and_year(zone: str) -> None:
    weeks = moments("{every: week, weekday: thu, time: '09:00'}", zone, 365)
    assert len(weeks) == 52 and all(one.isoweekday() == 4 for one in weeks)
    months = moments("{every: month, day: 31, time: '09:00'}", zone, 365)
    assert [(one.month, one.day) for one in months] == [
        (1, 31), (2, 28), (3, 31), (4, 30), (5, 31), (6, 30), (7, 31), (8, 31), (9, 30), (10, 31), (11, 30), (12, 31),
    ]  # fmt: skip
    years = moments("{every: year, month: 2, day: 29, time: '09:00'}", zone, 4 * 365)
    assert [one.date() for one in years] == [date(2026, 2, 28), date(2027, 2, 28), date(2028, 2, 29), date(2029, 2, 28)]


@settings(max_examples=40, deadline=None)
@given(
    st.dates(date(1940, 1, 1), date(2010, 12, 31)), st.sampled_from(ZONES), st.integers(-40, 40),
    st.sampled_from(["00:00", "02:30", "09:00", "23:59"]),
)  # fmt: skip
def test_a_birthday_comes_once_a_year_on_its_day(born: date, zone: str, offset: int, time: str) -> None:
    on = f"{{date: customer.birthday, offset: {offset}d, time: '{time}', every: year}}"
    found = moments(on, zone, 3 * 365 + 60, birthday=born.isoformat())
    birthdays = []
    for year in range(2025, 2031):
        try:
            birthdays.append(born.replace(year=year) + timedelta(days=offset))
        except ValueError:
            birthdays.append(date(year, 2, 28) + timedelta(days=offset))
    first, last = START.date() + timedelta(days=2), (START + timedelta(days=3 * 365 + 55)).date()
    wanted = [day for day in birthdays if first <= day <= last]
    assert [one.date() for one in found if first <= one.date() <= last] == wanted
    hours = {one.strftime("%H:%M") for one in found}
    # A time that daylight saving leaves out is as long after the change.
    assert hours <= {time, "03:30", "02:45"}


def test_a_date_of_the_customer_comes_once_and_follows_when_it_is_moved() -> None:
    under = plan_of("{date: customer.due_on, offset: -2d, time: '08:00'}")
    life = Life(under).feed(event("customer_updated", T0, attributes={"due_on": "2026-03-10"}))
    life.feed(event("customer_updated", T0 + DAY, attributes={"due_on": "2026-02-10"}))
    ((_, at),) = life.until(T0 + 400 * DAY).sends
    assert datetime.fromtimestamp(at / 1000, UTC) == datetime(2026, 2, 8, 8, tzinfo=UTC)


@pytest.mark.parametrize("value", ["soon", None, "0000-00-00", 17, {"a": 1}])
def test_what_is_no_date_never_comes_and_stops_nothing(value: object) -> None:
    under = plan_of("{date: customer.due_on, time: '08:00'}")
    life = Life(under).feed(event("customer_updated", T0, attributes={"due_on": value})).until(T0 + 400 * DAY)
    assert life.sends == []
