"""What one batch of the log adds to the tables: gathered in memory, written in one transaction."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import msgspec
import structlog

from agents import metrics
from models.dead_letter import DeadLetter
from pipeline.journal.codec import JournalError

log = structlog.get_logger()
# Those held out do no step: they stand apart from those who wait before the first.
HELD_OUT = "(held out)"
Read = TypeVar("Read")


class Record(NamedTuple):
    """One record of one of our streams; `letter` stands in the place of a dead letter's value."""

    stream: str
    partition: int
    offset: int
    value: bytes | None
    key: bytes | None = None
    letter: DeadLetter | None = None


def read(record: Record, decode: Callable[[bytes], Read]) -> Read | None:
    """Return a record decoded; None for one without a value, and for one that is none of ours, which is counted."""
    if record.value is None:
        return None
    try:
        return decode(record.value)
    except (msgspec.DecodeError, UnicodeDecodeError, JournalError):
        metrics.UNREADABLE.labels(record.stream).inc()
        log.warning("a record cannot be read", stream=record.stream, partition=record.partition, offset=record.offset)
        return None


class Sums:
    """Counters by key, each a list of numbers to add."""

    def __init__(self, width: int = 1):
        self._width = width
        self._sums: defaultdict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * width)

    def add(self, key: tuple[Any, ...], *numbers: int) -> None:
        """Add numbers under a key."""
        row = self._sums[key]
        for index, number in enumerate(numbers):
            row[index] += number

    def rows(self) -> list[tuple[Any, ...]]:
        """Return key and sums of what is not all zero."""
        return [(*key, *numbers) for key, numbers in self._sums.items() if any(numbers)]


class Enrolled:
    """An enrolment's row as it changes."""

    __slots__ = (
        "customer", "day", "ended", "ended_at", "entered_at", "goal_at", "held_out", "name", "scenario", "step",
        "value", "version",
    )  # fmt: skip

    def __init__(self, row: Any):
        (
            self.name, self.customer, self.scenario, self.version, self.entered_at, self.day, self.held_out, self.step,
            self.ended, self.ended_at, self.goal_at, self.value,
        ) = row  # fmt: skip

    def row(self) -> tuple[Any, ...]:
        """Return it in the table's order."""
        return (
            self.name, self.customer, self.scenario, self.version, self.entered_at, self.day, bool(self.held_out),
            self.step, self.ended, self.ended_at, self.goal_at, self.value,
        )  # fmt: skip

    @property
    def place(self) -> tuple[str, str, str]:
        """Return where it counts while it is open: scenario, version, last step done."""
        return self.scenario, self.version, HELD_OUT if self.held_out else self.step
