"""A customer's local time: zones of the pinned `tzdata` package, right across both daylight-saving changes.

A local time that a change leaves out (02:30 in the night to summer time) is the one as long after the change: 03:30.
Of one that comes twice the first counts.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

from models.customer import Cold
from pipeline.engine.person import text_of
from pipeline.engine.plan import Settings

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
DAY = timedelta(days=1)
MIDNIGHT_MS = 24 * 3_600_000
# A weekday comes again within a week; a day more for the one at hand, whose hour may be over.
DAYS_LOOKED_AT = 8


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())


@lru_cache(maxsize=1024)
def zone_named(name: str) -> ZoneInfo | None:
    """Return a zone of the pinned data, whatever the machine has; None where there is none of that name."""
    if name not in _known():
        return None
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as raw:
        return ZoneInfo.from_file(raw, key=name)


def zone_of(cold: Cold, settings: Settings) -> ZoneInfo:
    """Return the customer's zone, else the store's."""
    said = text_of(cold, "timezone")
    found = (zone_named(said) if said else None) or zone_named(settings.timezone) or zone_named("UTC")
    assert found is not None
    return found


def local(moment: int, zone: ZoneInfo) -> datetime:
    """Return a moment (UTC ms) as local time."""
    return (EPOCH + moment * MILLISECOND).astimezone(zone)


def moment_of(day: date, time_ms: int, zone: ZoneInfo) -> int:
    """Return the moment (UTC ms) of a time of day (ms after midnight, as the clock on the wall shows it)."""
    # Aware times are moved by the clock on the wall: midnight and nine hours is nine o'clock on a day of 23 hours too.
    shown = datetime.combine(day, time(tzinfo=zone)) + time_ms * MILLISECOND
    return (shown.astimezone(UTC) - EPOCH) // MILLISECOND


def time_of_day(moment: int, zone: ZoneInfo) -> int:
    """Return what the clock on the wall shows (ms after midnight)."""
    shown = local(moment, zone)
    return ((shown.hour * 60 + shown.minute) * 60 + shown.second) * 1000 + shown.microsecond // 1000


def next_time(moment: int, time_ms: int, zone: ZoneInfo, weekdays: tuple[int, ...] = ()) -> int:
    """Return the first moment from `moment` (UTC ms) on at which it is that time, on one of some weekdays (0 Monday).

    No weekday means any.
    """
    first = local(moment, zone).date()
    for number in range(DAYS_LOOKED_AT + 1):
        day = first + number * DAY
        if weekdays and day.weekday() not in weekdays:
            continue
        found = moment_of(day, time_ms, zone)
        if found >= moment:
            return found
    raise AssertionError("every weekday comes within eight days")


def day_of(value: Any, zone: ZoneInfo) -> date | None:
    """Return the day that a value names: a date, a text that begins with one, or a moment (UTC ms) in the zone."""
    if isinstance(value, datetime):
        return value.astimezone(zone).date()
    if isinstance(value, date):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return local(value, zone).date()
    try:
        return date.fromisoformat(value[:10])
    except (TypeError, ValueError):
        return None


def moved_day(day: date, offset_ms: int) -> tuple[date, int]:
    """Return a day moved by the whole days of an offset (of the calendar, not of 24 hours), and what is left (ms)."""
    days, left_ms = divmod(offset_ms, MIDNIGHT_MS)
    return day + days * DAY, left_ms
