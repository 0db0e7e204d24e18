"""Date and calendar entries: timers in the customer's zone, kept by no list, for each date says itself when it comes.

A moment is woken exactly at its time (`Tracked.due` is never later), and is known to be due because its next time after
the millisecond before is that one. A yearly 29 February comes on the 28th in other years; a day of the month that a
month has not is its last.
"""

from calendar import monthrange
from collections.abc import Iterator
from datetime import date, timedelta

from models.customer import NEVER
from pipeline.engine.calendar import Moment
from pipeline.engine.env import Env, Missing, State
from pipeline.engine.local_time import day_of, local, moment_of, moved_day, zone_of
from pipeline.engine.plan import Settings

YEAR_MAX = 9_998
DAY = timedelta(days=1)


def on_day(year: int, month: int, day: int) -> date:
    """Return a day of a month, its last where it has fewer."""
    return date(year, month, min(day, monthrange(year, month)[1]))


def _months(first: date, day: int) -> Iterator[date]:
    year, month = first.year, first.month
    for number in range(-1, 3):
        years, months = divmod(month - 1 + number, 12)
        yield on_day(year + years, months + 1, day)


def _days(moment: Moment, base: date | None, around: date) -> Iterator[date]:
    """Yield the days near one on which a moment may come, in order."""
    match moment.every:
        case None:
            if base is not None:
                yield base
        case "year":
            month, day = (base.month, base.day) if base is not None else (moment.month, moment.day)
            yield from (on_day(around.year + number, month, day) for number in (-1, 0, 1, 2))
        case "month":
            yield from _months(around, base.day if base is not None else moment.day)
        case "week":
            monday = around - around.weekday() * DAY
            yield from (monday + (7 * number + moment.weekday) * DAY for number in (-1, 0, 1, 2))
        case _:
            yield from (around + number * DAY for number in (-1, 0, 1, 2))


def next_after(moment: Moment, customer: State, settings: Settings, after: int) -> int:
    """Return the first time (UTC ms) later than `after` at which a moment comes for a customer, NEVER for none."""
    zone = zone_of(customer.cold, settings)
    base: date | None = None
    if moment.date is not None:
        try:
            base = day_of(moment.date.call(Env(customer, after, settings)), zone)
        except Missing:
            base = None
        if base is None or base.year > YEAR_MAX:
            return NEVER
    # The offset is taken off the day that is looked at, so that the days near it are near the moment too.
    around = moved_day(local(after, zone).date(), -moment.offset_ms)[0]
    for day in _days(moment, base, around):
        if base is not None and day < base:
            continue
        shifted, left_ms = moved_day(day, moment.offset_ms)
        found = moment_of(shifted, moment.time_ms + left_ms, zone)
        if found > after:
            return found
    return NEVER


def on_the_day(moment: Moment, customer: State, settings: Settings, day: date) -> int | None:
    """Return when a moment comes on a day of the customer's calendar (UTC ms), None if it does not."""
    zone = zone_of(customer.cold, settings)
    found = next_after(moment, customer, settings, moment_of(day, 0, zone) - 1)
    return found if found < NEVER and local(found, zone).date() == day else None
