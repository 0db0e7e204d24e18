"""A naive fold over the REES46 clickstream: who gets which abandoned-cart message, and when it is due.

Written from the words of the scenario alone; it imports nothing of the project, keeps everything in memory and looks
at one customer at a time.
"""

import csv
import gzip
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

FIRST_WAIT = timedelta(minutes=45)
FIRST_WAIT_MAX = timedelta(hours=6)
STEPS_AFTER = (("urgency", timedelta(hours=23)), ("third", timedelta(days=2)))
LIMIT, LIMIT_PER = 3, timedelta(days=7)


@dataclass
class Passage:
    """One passage through the scenario: the messages still planned, soonest first."""

    entered: datetime
    changed: datetime

    def plan(self) -> list[tuple[str, datetime]]:
        due = min(self.changed + FIRST_WAIT, self.entered + FIRST_WAIT_MAX)
        planned = [("reminder", due)]
        for name, wait in STEPS_AFTER:
            due += wait
            planned.append((name, due))
        return planned


@dataclass
class Person:
    sent: list[tuple[str, datetime]] = field(default_factory=list)
    passage: Passage | None = None
    last_order: datetime | None = None

    def send_until(self, now: datetime) -> None:
        """Send what was due strictly before `now`: at the same instant the event wins."""
        if self.passage is None:
            return
        for name, due in self.passage.plan():
            if due >= now:
                return
            if any(step == name and when == due for step, when in self.sent):
                continue
            recent = [when for _, when in self.sent if when > due - LIMIT_PER]
            if len(recent) < LIMIT:
                self.sent.append((name, due))
            elif name == "reminder":
                self.passage = None
                return
        self.passage = None

    def cart(self, now: datetime) -> None:
        if self.last_order is not None and now <= self.last_order:
            return
        if self.passage is None:
            self.passage = Passage(entered=now, changed=now)
        elif self.passage.plan()[0][1] >= now:
            self.passage.changed = now

    def order(self, now: datetime) -> None:
        self.last_order = now
        self.passage = None


def rows(path: Path) -> list[dict[str, str]]:
    """Return the file's rows without exact repeats."""
    seen: set[tuple[str, ...]] = set()
    kept = []
    with gzip.open(path, "rt", newline="") as file:
        for row in csv.DictReader(file):
            whole = tuple(row.values())
            if whole not in seen:
                seen.add(whole)
                kept.append(row)
    return kept


def expected(path: Path, advance: timedelta) -> set[tuple[str, str, datetime]]:
    """Return (customer, step, due) of every message that is due before the last event plus `advance`."""
    people: dict[str, Person] = defaultdict(Person)
    now = datetime.min.replace(tzinfo=UTC)
    for row in rows(path):
        now = datetime.strptime(row["event_time"], "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
        person = people[row["user_id"]]
        person.send_until(now)
        if row["event_type"] == "cart":
            person.cart(now)
        elif row["event_type"] == "purchase":
            person.order(now)
    for person in people.values():
        person.send_until(now + advance)
    return {(customer, step, due) for customer, person in people.items() for step, due in person.sent}
