"""A naive fold over people with several devices: the cart, the aliases and the reminders that each must end with.

Written from the words of the rules alone; it imports nothing of the project, keeps everything in memory, and reads the
rows of one person in the order of their times, as if every sign-in were known to everybody at once.
"""

from dataclasses import dataclass, field
from typing import Any

MINUTE = 60_000
FIRST_WAIT, FIRST_WAIT_MAX, VALID = 45 * MINUTE, 6 * 60 * MINUTE, 120 * MINUTE


@dataclass
class Device:
    """A visitor before the sign-in, an alias after it."""

    items: list[str] = field(default_factory=list)
    changed: int = -1
    changes: list[int] = field(default_factory=list)
    known: str = ""
    shared: bool = False


@dataclass
class Passage:
    """One stay in the scenario; the reminder is due at `due`, unless it was given already."""

    began: int
    due: int
    reminded: bool = False

    def restart(self, at: int) -> None:
        if not self.reminded and self.began <= at <= self.due:
            self.due = max(self.due, min(at + FIRST_WAIT, self.began + FIRST_WAIT_MAX))


@dataclass
class Person:
    """A known customer: `reminders` are (due, whether it is still valid when it comes to be said)."""

    name: str
    items: list[str] = field(default_factory=list)
    changed: int = 0
    changes: list[int] = field(default_factory=list)
    ordered: int = -1
    passage: Passage | None = None
    aliases: list[str] = field(default_factory=list)
    reminders: list[tuple[int, bool]] = field(default_factory=list)

    def remind(self, until: int, now: int | None = None) -> None:
        """Say what is due before a time; `now` is when it is said, where that is not the due time."""
        one = self.passage
        if one is not None and not one.reminded and one.due < until:
            one.reminded = True
            said = one.due if now is None else max(now, one.due)
            self.reminders.append((one.due, said <= one.due + VALID))

    def enter(self, began: int) -> None:
        self.passage = Passage(began, began + FIRST_WAIT)
        self.restart()

    def restart(self) -> None:
        for at in sorted(self.changes):
            assert self.passage is not None
            self.passage.restart(at)

    def put(self, items: list[str], at: int) -> None:
        """A whole cart, by the own id or by an alias."""
        same, self.items, self.changed = items == self.items, items, at
        if same:
            return
        self.changes.append(at)
        if self.passage is None:
            self.enter(at)
        else:
            self.passage.restart(at)

    def order(self, at: int) -> None:
        self.items, self.ordered, self.passage = [], at, None

    def take_in(self, name: str, device: Device, at: int) -> None:
        """A first sign-in: what the visitor had is the person's, unless it was from before the last order."""
        self.aliases.append(name)
        self.changes += device.changes
        if device.changed <= self.ordered or not device.items:
            return
        left = [one for one in device.changes if one > self.ordered]
        if not left:
            # Given again since the order, with what it held before: it is new by that, as of when it was given last.
            self.changes.append(device.changed)
        first, second = (device.items, self.items) if device.changed > self.changed else (self.items, device.items)
        self.items = first + [one for one in second if one not in first]
        self.changed = max(self.changed, device.changed)
        if self.passage is not None:
            self.restart()
            return
        # The one that the visitor is inside, if no order ended it for the person; else the latest change begins one.
        self.enter(device.changes[0] if device.changes[0] > self.ordered else max(left, default=device.changed))
        self.remind(at, now=at)


def fold(rows: list[dict[str, Any]], until: int) -> dict[str, Person]:
    """Return every known customer at a time (UTC ms), from rows {what, who, at, and items or known}."""
    people: dict[str, Person] = {}
    devices: dict[str, Device] = {}

    def person(name: str) -> Person:
        return people.setdefault(name, Person(name))

    for row in sorted(rows, key=lambda row: row["at"]):
        who, at = row["who"], row["at"]
        for one in people.values():
            one.remind(at)
        device = devices.setdefault(who, Device()) if who.startswith("anon:") else None
        if device is None:
            one = person(who)
            if row["what"] == "cart":
                one.put(list(row["items"]), at)
            elif row["what"] == "order":
                one.order(at)
        elif row["what"] == "sign_in":
            if not device.known:
                device.known = row["known"]
                person(device.known).take_in(who, device, at)
            elif device.known != row["known"]:
                device.shared = True
        elif not device.known:
            if row["items"] != device.items:
                device.changes.append(at)
            device.items, device.changed = list(row["items"]), at
        elif not device.shared:
            person(device.known).put(list(row["items"]), at)
    for one in people.values():
        one.remind(until)
    return people
