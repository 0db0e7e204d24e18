"""Waiting until a moment of the customer's local time, and the hour at which they open and click most."""

from msgspec.structs import replace

from models.customer import Cold, Enrolment, Waiting
from models.event import Event
from pipeline.engine.ending import end
from pipeline.engine.env import Missing
from pipeline.engine.local_time import day_of, local, moment_of, moved_day, next_time, zone_of
from pipeline.engine.plan import HOUR_MS, Settings, Until
from pipeline.engine.trail import with_wait
from pipeline.engine.work import Work

HOURS = 24
OPENINGS = frozenset({"message_opened", "message_clicked"})


def begin_until(work: Work, enrolment: Enrolment, op: Until) -> None:
    """Stand until the moment comes; one that is past, or a day that is not known, follows `if_past`."""
    try:
        due = _moment(work, enrolment, op)
    except (Missing, OverflowError, ValueError) as error:
        # A date that is absent or beyond the calendar: no moment will ever come.
        cause = str(error) if isinstance(error, Missing) else "beyond the calendar"
        work.decide("failed", "until has no day", enrolment, step=op.label, detail={"missing": [cause]})
        _past(work, enrolment, op)
        return
    if due < enrolment.clock:
        _past(work, enrolment, op)
    else:
        work.put(replace(enrolment, waiting=Waiting(since=enrolment.clock, due=due)))


def _past(work: Work, enrolment: Enrolment, op: Until) -> None:
    if op.if_past == "exit":
        end(work, enrolment, enrolment.clock, "exited", "past", cancel=False)
        return
    goto = op.skip if op.if_past == "skip_next" else op.next
    work.decide("branched", "past", enrolment, step=op.label)
    work.put(replace(enrolment, at_step=goto, trail=with_wait(enrolment)))


def _moment(work: Work, enrolment: Enrolment, op: Until) -> int:
    zone = zone_of(work.cold, work.plan.settings)
    if op.best_of is not None:
        return _best_hour(work.cold, work.plan.settings, op, enrolment.clock)
    if op.day is None:
        return next_time(enrolment.clock, op.time_ms or 0, zone, op.weekdays)
    value = op.day.call(work.env(enrolment))
    if op.time_ms is None and isinstance(value, int) and not isinstance(value, bool):
        return value + op.offset_ms
    day = day_of(value, zone)
    if day is None:
        raise Missing(f"{value!r} is no day"[:80])
    day, left_ms = moved_day(day, op.offset_ms)
    found = moment_of(day, op.time_ms or 0, zone) + left_ms
    return next_time(found, op.time_ms or 0, zone, op.weekdays) if op.weekdays else found


def _best_hour(cold: Cold, settings: Settings, op: Until, clock: int) -> int:
    """Return the next beginning of the hour of most opens and clicks (the earliest of equals), else `clock`: at once.

    Within that hour it is now, and so it is where the hour lies beyond the window.
    """
    counts = cold.hours.get(op.best_of or "", ())
    if not any(counts):
        return clock
    zone = zone_of(cold, settings)
    best = max(range(len(counts)), key=lambda hour: (counts[hour], -hour))
    if local(clock, zone).hour == best:
        return clock
    found = next_time(clock, best * HOUR_MS, zone)
    return found if found <= clock + op.within_ms else clock


def count_hour(cold: Cold, event: Event, channels: tuple[str, ...], settings: Settings) -> Cold:
    """Return what is known after an event: an open or click of a person, on one of some channels, by its local hour."""
    channel = event.data.get("channel")
    if event.type not in OPENINGS or channel not in channels or event.data.get("machine"):
        return cold
    counts = list(cold.hours.get(channel, (0,) * HOURS))
    counts[local(event.at, zone_of(cold, settings)).hour] += 1
    return replace(cold, hours={**cold.hours, channel: tuple(counts)})
