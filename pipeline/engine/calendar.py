"""When a date or calendar entry comes, as a scenario says it."""

from dataclasses import dataclass

from pipeline.engine.env import Expr


@dataclass(frozen=True, slots=True)
class Moment:
    """A time of day on a day: of a date (moved by `offset_ms`), or of every day, week, month or year.

    `every` None: once, on that date. `weekday` counts from 0 (Monday); `day` of the month beyond its end is its last.
    """

    time_ms: int
    every: str | None = None  # day | week | month | year
    date: Expr | None = None
    offset_ms: int = 0
    day: int = 1
    month: int = 1
    weekday: int = 0
