"""Happenings that the engine derives: a segment entered or left, a level that fell or rose, a score reached, a date."""

from typing import Any

from models.event import Event, Position
from models.ids import derived_event_id
from pipeline.engine.work import Happening, Work

# The source that stands in the reasons of what no event brought about, but time.
CLOCK = "clock"
STEP = "step"


def cause_of_clock(work: Work, at: int) -> Event:
    """Return what stands for a timer of the customer: an event of the clock, at its due time (UTC ms)."""
    return _cause(work, CLOCK, derived_event_id(work.id, CLOCK, str(at)), at, 0)


def cause_of_step(work: Work, enrolment: str, at: int, depth: int) -> Event:
    """Return what stands for a step that wrote to the customer; `depth` stops scenarios that start each other."""
    return _cause(work, STEP, derived_event_id(enrolment, STEP, str(at)), at, depth)


def _cause(work: Work, kind: str, name: str, at: int, depth: int) -> Event:
    return Event(
        id=name,
        type=kind,
        customer=work.id,
        occurred_at=at,
        arrived_at=at,
        position=Position(kind),
        depth=depth,
    )


def derived(cause: Event, kind: str, name: str, at: int, **fields: Any) -> Happening:
    """Return what follows from a cause, named by it; expressions see the fields beside id, type and at."""
    one = derived_event_id(cause.id, kind, name)
    return Happening(kind, one, at, {**fields, "id": one, "type": kind, "at": at}, cause)
