"""Local time: both daylight-saving changes, zones ahead of UTC, days of the calendar."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.customer import Attribute, Cold
from pipeline.engine.local_time import day_of, local, moment_of, moved_day, next_time, time_of_day, zone_named, zone_of
from pipeline.engine.plan import Settings
from tests.engine.build import DAY, HOUR, MINUTE

ZONES = ("Europe/Paris", "America/New_York", "Pacific/Auckland", "Asia/Kolkata", "Pacific/Kiritimati", "UTC")
NINE = 9 * HOUR


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def named(name: str) -> ZoneInfo:
    found = zone_named(name)
    assert found is not None
    return found


PARIS = named("Europe/Paris")


@pytest.mark.parametrize(
    ("now", "zone", "expected"),
    [
        ("2026-03-28T20:00Z", "Europe/Paris", "2026-03-29T09:00+02:00"),  # the night of 23 hours
        ("2026-10-24T20:00Z", "Europe/Paris", "2026-10-25T09:00+01:00"),  # the night of 25 hours
        ("2026-09-26T10:00Z", "Pacific/Auckland", "2026-09-27T09:00+13:00"),  # the southern spring
        ("2026-06-30T18:59Z", "Pacific/Kiritimati", "2026-07-01T09:00+14:00"),  # the next day already
        ("2026-06-30T19:01Z", "Pacific/Kiritimati", "2026-07-02T09:00+14:00"),
        ("2026-06-30T07:00Z", "Europe/Paris", "2026-06-30T09:00+02:00"),  # at this very moment
    ],
)
def test_nine_o_clock_is_nine_o_clock_on_the_wall(now: str, zone: str, expected: str) -> None:
    assert next_time(ms(now), NINE, named(zone)) == ms(expected)


def test_a_time_that_the_change_leaves_out_is_as_long_after_it() -> None:
    assert moment_of(date(2026, 3, 29), 2 * HOUR + 30 * MINUTE, PARIS) == ms("2026-03-29T03:30+02:00")


def test_of_a_time_that_comes_twice_the_first_counts() -> None:
    assert moment_of(date(2026, 10, 25), 2 * HOUR + 30 * MINUTE, PARIS) == ms("2026-10-25T02:30+02:00")


def test_a_weekday_is_that_of_the_customer() -> None:
    # Sunday 23:30 in Paris is Monday in Auckland.
    now = ms("2026-07-05T21:30Z")
    assert next_time(now, NINE, PARIS, (0,)) == ms("2026-07-06T09:00+02:00")
    assert next_time(now, NINE, named("Pacific/Auckland"), (0,)) == ms("2026-07-13T09:00+12:00")


def test_a_day_moves_by_the_calendar_and_not_by_24_hours() -> None:
    day, left = moved_day(date(2026, 3, 30), -3 * DAY)
    assert (day, left) == (date(2026, 3, 27), 0)
    assert moment_of(day, NINE, PARIS) == ms("2026-03-27T09:00+01:00")
    assert moved_day(date(2026, 3, 30), -2 * HOUR) == (date(2026, 3, 29), 22 * HOUR)


def test_a_value_names_a_day() -> None:
    assert day_of("2026-05-04", PARIS) == date(2026, 5, 4)
    assert day_of(ms("2026-05-04T23:30Z"), PARIS) == date(2026, 5, 5)
    for wrong in ("tomorrow", None, True, [], 1.5):
        assert day_of(wrong, PARIS) is None


def test_the_customers_zone_comes_before_the_stores_and_a_wrong_one_is_none() -> None:
    settings = Settings(timezone="Europe/Paris")

    def said(name: str) -> str | None:
        return zone_of(Cold(attributes={"timezone": Attribute(name, 0, "e")}), settings).key

    assert said("Asia/Tokyo") == "Asia/Tokyo"
    for wrong in ("Mars/Olympus", "../../etc/passwd", "/etc/localtime", "", "Europe"):
        assert said(wrong) == "Europe/Paris"
    assert zone_of(Cold(), settings).key == "Europe/Paris"


moments = st.integers(ms("1995-01-01T00:00Z"), ms("2037-01-01T00:00Z"))


@given(moments, st.integers(0, 24 * 60 - 1), st.sampled_from(ZONES), st.sets(st.integers(0, 6)))
def test_the_next_time_is_never_before_and_shows_that_time(now: int, minute: int, zone: str, days: set[int]) -> None:
    where, time_ms = named(zone), minute * MINUTE
    found = next_time(now, time_ms, where, tuple(sorted(days)))
    assert now <= found <= now + 9 * DAY
    if days:
        assert local(found, where).weekday() in days
    shown = time_of_day(found, where)
    # Where the change leaves that time out, the clock shows one up to an hour later.
    assert shown == time_ms or (time_ms < shown <= time_ms + HOUR and not _exists(found, time_ms, where))


def _exists(found: int, time_ms: int, zone: ZoneInfo) -> bool:
    day = local(found, zone).date()
    wanted = datetime(day.year, day.month, day.day, time_ms // HOUR, time_ms // MINUTE % 60, tzinfo=zone)
    return wanted.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == wanted.replace(tzinfo=None)
