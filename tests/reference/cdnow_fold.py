"""A naive fold over the CDNOW purchases: whom retention and reactivation reach, and when.

Written from the words of the two scenarios and of the score; it imports nothing of the project and looks at one
customer at a time. Every order is 20 points, halved every 30 days in 64 steps that are the same for everybody. At an
instant at which an order and something due meet, the order comes first.
"""

import gzip
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/New_York")
STEP = timedelta(days=30) / 64
POINTS = 20_000  # thousandths
HOT, WARM = 40_000, 10_000
INACTIVE, LOST = timedelta(days=60, milliseconds=1), timedelta(days=365, milliseconds=1)
# After the first message at ten o'clock: what comes next, and how long after the one before.
RETENTION = (("content", timedelta(0)), ("offer", timedelta(days=7)))
REACTIVATION = (
    ("store_and_help", timedelta(0)),
    ("special_offer", timedelta(days=14)),
    ("gave_up", timedelta(days=14)),
)
AGAIN = timedelta(days=30)
CAP, CAP_PER = 2, timedelta(days=7)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Reached = tuple[str, str, datetime]


def step_of(moment: datetime) -> int:
    return (moment - EPOCH) // STEP


@cache
def share(steps: int) -> Decimal:
    return Decimal(2) ** (Decimal(-steps) / 64)


def left(value: int, steps: int) -> int:
    """What is left of some points, in thousandths rounded down."""
    return int(value * share(steps))


@cache
def steps_above(value: int, floor: int) -> int:
    """After how many steps some points are first below a floor."""
    steps = 0
    while left(value, steps) >= floor:
        steps += 1
    return steps


def ten_o_clock(moment: datetime) -> datetime:
    """The first ten o'clock in the shop's zone from a moment on."""
    local = moment.astimezone(ZONE)
    ten = local.replace(hour=10, minute=0, second=0, microsecond=0)
    return (ten if ten >= local else ten + timedelta(days=1)).astimezone(UTC)


@dataclass
class Passage:
    """One passage: its messages, the next one's number and when it is due."""

    name: str
    steps: tuple[tuple[str, timedelta], ...]
    due: datetime
    number: int = 0


@dataclass
class Person:
    value: int = 0
    since: datetime = EPOCH
    last: datetime = EPOCH
    warmth: str = ""
    activity: str = ""
    retention: Passage | None = None
    reactivation: Passage | None = None
    retention_ended: datetime | None = None
    gave_up: datetime | None = None
    sent: list[tuple[str, datetime]] = field(default_factory=list)

    def points(self, now: datetime) -> int:
        return left(self.value, step_of(now) - step_of(self.since))

    def order(self, now: datetime) -> None:
        self.value, self.since, self.last = self.points(now) + POINTS, now, now
        self.warmth = "hot" if self.value >= HOT else "warm" if self.value >= WARM else "cold"
        self.activity = "active"
        self.end_retention(now)
        self.reactivation = None

    def end_retention(self, now: datetime) -> None:
        if self.retention is not None:
            self.retention, self.retention_ended = None, now

    def cools_at(self) -> datetime | None:
        """When the points fall below what the level asks for."""
        floor = {"hot": HOT, "warm": WARM}.get(self.warmth)
        if floor is None:
            return None
        return EPOCH + (step_of(self.since) + steps_above(self.value, floor)) * STEP

    def fades_at(self) -> datetime | None:
        """When the last order is too long ago for the level of activity."""
        after = {"active": INACTIVE, "inactive": LOST}.get(self.activity)
        return None if after is None else self.last + after

    def dues(self) -> Iterator[tuple[datetime, int]]:
        """What time alone brings: changes of levels before messages, retention's before reactivation's."""
        for rank, due in enumerate(
            (
                self.fades_at(),
                self.cools_at(),
                self.retention and self.retention.due,
                self.reactivation and self.reactivation.due,
            )
        ):
            if due is not None:
                yield due, rank

    def live_until(self, end: datetime) -> None:
        """Do everything that is due strictly before a moment."""
        while (due := min(self.dues(), default=None)) is not None and due[0] < end:
            (self.fade, self.cool, self.retain, self.reactivate)[due[1]](due[0])

    def fade(self, now: datetime) -> None:
        self.activity = "inactive" if self.activity == "active" else "lost"
        self.end_retention(now)
        silent = self.gave_up is not None and self.last < self.gave_up
        if self.reactivation is None and not silent:
            self.reactivation = Passage("reactivation", REACTIVATION, ten_o_clock(now))

    def cool(self, now: datetime) -> None:
        value = self.points(now)
        self.warmth = "warm" if value >= WARM else "cold"
        rested = self.retention_ended is None or now - self.retention_ended >= AGAIN
        if self.activity == "active" and self.retention is None and rested:
            self.retention = Passage("retention", RETENTION, ten_o_clock(now))

    def retain(self, now: datetime) -> None:
        assert self.retention is not None
        if self.go_on(self.retention, now):
            self.end_retention(now)

    def reactivate(self, now: datetime) -> None:
        assert self.reactivation is not None
        if self.reactivation.steps[self.reactivation.number][0] == "gave_up":
            self.gave_up, self.reactivation = now, None
        else:
            self.go_on(self.reactivation, now)

    def go_on(self, passage: Passage, now: datetime) -> bool:
        """Send the message that is due; say whether it was the last step."""
        recent = [when for _, when in self.sent if when > now - CAP_PER]
        # What the scenarios do under a full cap is not told here: this data never comes there.
        assert len(recent) < CAP, "the weekly cap is full"
        self.sent.append((passage.steps[passage.number][0], now))
        passage.number += 1
        if passage.number == len(passage.steps):
            return True
        passage.due = now + passage.steps[passage.number][1]
        return False


def orders(path: Path) -> dict[str, list[datetime]]:
    """Return the days on which each customer bought, in order, as the shop's midnights."""
    found: dict[str, set[datetime]] = defaultdict(set)
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        next(file)
        for line in file:
            customer, day, _, _ = line.split()
            local = datetime(int(day[:4]), int(day[4:6]), int(day[6:]), tzinfo=ZONE)
            found[customer].add(local.astimezone(UTC))
    return {customer: sorted(days) for customer, days in found.items()}


def expected(path: Path, advance: timedelta) -> set[Reached]:
    """Return (customer, message, due) of everything due before the last order of all plus `advance`."""
    bought = orders(path)
    end = max(days[-1] for days in bought.values()) + advance
    found: set[Reached] = set()
    for customer, days in bought.items():
        person = Person()
        for day in days:
            person.live_until(day)
            person.order(day)
        person.live_until(end)
        found |= {(customer, message, due) for message, due in person.sent}
    return found
