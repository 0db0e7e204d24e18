"""Date and calendar entries as the engine reads them, and what a state entry is about."""

from typing import get_args

from models.scenario import CalendarSpec, DateSpec, EnterSpec, Weekday
from pipeline.durations import parse_offset, parse_time_of_day
from pipeline.engine.calendar import Moment
from pipeline.scenario.reading import Reader

WEEKDAYS = get_args(Weekday)


def moment_of(on: str | DateSpec | CalendarSpec, path: tuple[str | int, ...], reader: Reader) -> Moment | None:
    """Return when a date or calendar entry comes, None for an event; a fault where its date is none."""
    if isinstance(on, str):
        return None
    if isinstance(on, CalendarSpec):
        weekday = WEEKDAYS.index(on.weekday) if on.weekday else 0
        return Moment(parse_time_of_day(on.time), on.every, day=on.day or 1, month=on.month or 1, weekday=weekday)
    date = reader.value(on.date, (*path, "date"))
    if date is None:
        return None
    return Moment(parse_time_of_day(on.time), on.every, date=date, offset_ms=parse_offset(on.offset))


def subject_of(spec: EnterSpec) -> str:
    """Return what an entry is about, as the engine names it ("segment.vip"), "" for an event of its own."""
    if spec.segment is not None:
        return f"segment.{spec.segment}"
    if spec.of is not None:
        return f"level.{spec.of}"
    return f"segment.{spec.score}>={spec.at_least}" if spec.score is not None else ""
