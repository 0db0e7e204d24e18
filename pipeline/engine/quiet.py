"""Quiet hours: from one time of day to another, by the clock on the customer's wall; marketing waits until they end."""

from zoneinfo import ZoneInfo

from pipeline.engine.local_time import next_time, time_of_day, zone_named, zone_of
from pipeline.engine.person import text_of
from pipeline.engine.plan import QuietHours, Send
from pipeline.engine.work import Work


def quiet_until(work: Work, op: Send, channel: str, clock: int) -> int | None:
    """Return when a send may go (UTC ms), None where it is not held by quiet hours.

    Both times count: that at which the step was due, and `now`, which may be later where something was read late.
    """
    quiet = work.plan.settings.quiet
    if quiet is None or not _holds(work, op, channel):
        return None
    zone = zone_of(work.cold, work.plan.settings)
    ends = [end_of_quiet(quiet, moment, zone) for moment in (clock, max(clock, work.now))]
    return max((end for end in ends if end is not None), default=None)


def own_zone(work: Work, op: Send, channel: str) -> str:
    """Return the name of the customer's own zone where quiet hours hold for a send, else nothing: it is the store's."""
    said = text_of(work.cold, "timezone") if _holds(work, op, channel) else None
    return said if said and zone_named(said) else ""


def _holds(work: Work, op: Send, channel: str) -> bool:
    quiet = work.plan.settings.quiet
    return quiet is not None and op.purpose == "marketing" and (not quiet.channels or channel in quiet.channels)


def end_of_quiet(quiet: QuietHours, moment: int, zone: ZoneInfo) -> int | None:
    """Return when the quiet hours end in which a moment lies (UTC ms), None where it lies in none."""
    shown = time_of_day(moment, zone)
    begin, end = quiet.from_ms, quiet.to_ms
    inside = begin <= shown < end if begin <= end else shown >= begin or shown < end
    return next_time(moment, end, zone) if inside else None
