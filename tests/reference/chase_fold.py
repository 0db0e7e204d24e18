"""A naive reading of the journal of a shop with two scenarios: what must have gone out, and where everybody stands.

Written from the words of the rules alone, with no import of the project. `chase` begins with a lead and ends with a win:
after a first wait a message, after a second wait another. `thanks` answers every win at once. One partition's messages
are read one after another, as JSON; times are UTC milliseconds.
"""

import json
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

LATENESS, JOIN_WITHIN = 20_000, 10_000
REMEMBERED, RECENT = 8, 32
VALID = {"first": 30_000, "second": 60_000, "thanks": 60_000}
STEPS = ("first", "second")
SETTLED = ("sent", "rejected", "expired", "cancelled", "unknown")


def named(*parts: str) -> str:
    """Return the hash of parts, each with its length before it."""
    hasher = blake2b(digest_size=16)
    for part in parts:
        raw = part.encode()
        hasher.update(b"%d:" % len(raw) + raw)
    return hasher.hexdigest()


@dataclass
class Out:
    """A message that went out; `state` is what is known of its end."""

    id: str
    valid_until: int
    state: str = ""


@dataclass
class Stay:
    """One passage of one customer; with `until` it has ended and waits for the ends of its messages."""

    scenario: str
    entry: str
    at: int
    plan: str
    step: int = 0
    due: int = 0
    out: list[Out] = field(default_factory=list)
    later: tuple[int, str] | None = None
    until: int | None = None


@dataclass
class Person:
    """What is known of one customer."""

    now: int = 0
    recent: list[str] = field(default_factory=list)
    wins: list[tuple[int, str]] = field(default_factory=list)
    stays: list[Stay] = field(default_factory=list)
    ended: dict[str, int] = field(default_factory=dict)

    @property
    def chase(self) -> Stay | None:
        return next((one for one in self.stays if one.scenario == "chase" and one.until is None), None)

    def next_due(self) -> int | None:
        return min((one.due if one.until is None else one.until for one in self.stays), default=None)


@dataclass
class Source:
    """A source partition: live or joining, how far it ticked, and the last place that was read."""

    state: str
    covered: int
    before: int = 0
    feedback: bool = False


class Reading:
    """Reads one partition; `waits` are the two waits (ms) of `chase` by plan, `versions` those of (plan, scenario)."""

    def __init__(self, waits: dict[str, tuple[int, int]], versions: dict[tuple[str, str], str]):
        self.waits = waits
        self.versions = versions
        self.plan = ""
        self.watermark = 0
        self.sources: dict[tuple[str, int], Source] = {}
        self.last: dict[tuple[str, int], tuple[int, int, int]] = {}
        self.people: dict[str, Person] = {}
        self.acted: list[str] = []
        self.commands: list[tuple[Any, ...]] = []
        self.cancels: list[tuple[str, str, int]] = []
        self.counts = {"events": 0, "applied": 0, "duplicate": 0}
        # What should never be: an event that a tick had promised would not come.
        self.broken: list[str] = []

    def read(self, value: bytes, appended: int) -> None:
        """Read one message."""
        for entry in json.loads(value)["entries"]:
            kind = entry["kind"]
            if kind == "event":
                self._event(entry, appended)
            elif kind == "tick":
                self._tick(entry)
            elif entry["id"] not in self.acted:
                self.acted.append(entry["id"])
                self._control(kind, entry)

    def _control(self, kind: str, entry: dict[str, Any]) -> None:
        if kind == "source":
            key = (entry["source"], entry.get("partition", 0))
            at_once = entry.get("feedback", False) or self.watermark == 0
            if key not in self.sources:
                covered, feedback = entry.get("first", 0), entry.get("feedback", False)
                self.sources[key] = Source("live" if at_once else "joining", covered, feedback=feedback)
        elif kind == "plan":
            self.plan = entry["plan"]
            for one in self.people.values():
                one.now = max(one.now, entry["at"])

    def _tick(self, tick: dict[str, Any]) -> None:
        key = (tick["source"], tick.get("partition", 0))
        one = self.sources[key]
        if tick["first"] > one.covered:
            self.broken.append(f"{key}: records {one.covered} to {tick['first']} are missing")
            return
        if tick["next"] >= one.covered:
            one.covered, one.before = tick["next"], max(one.before, tick["before"])
        if one.state == "joining" and one.before >= self.watermark - JOIN_WITHIN:
            one.state = "live"
        counting = [row.before for row in self.sources.values() if row.state == "live" and not row.feedback]
        if counting and min(counting) > self.watermark:
            self.watermark = min(counting)
            for name in sorted(self.people):
                self._fire(name)

    # -- one customer

    def _event(self, event: dict[str, Any], appended: int) -> None:
        self.counts["events"] += 1
        source, partition, *place = event["position"]
        key, where = (source, partition), (place[0], place[1], place[2])
        if where <= self.last.get(key, (-1, -1, -1)):
            self.counts["duplicate"] += 1
            return
        self.last[key] = where
        arrived = min(event["arrived_at"], appended)
        at = min(event["occurred_at"], arrived)
        row = self.sources.get(key)
        if row is not None and not row.feedback and event["arrived_at"] < row.before:
            self.broken.append(f"{key}: {where} arrived before its tick {row.before}")
        name = event["customer"]
        one = self.people.setdefault(name, Person())
        if event["id"] in one.recent:
            self.counts["duplicate"] += 1
            return
        self.counts["applied"] += 1
        one.now = max(one.now, at)
        one.recent = [*one.recent, event["id"]][-RECENT:]
        late = arrived - at > LATENESS or (row is not None and row.state == "joining")
        self._happened(name, one, event, at, late)
        self._fire(name)

    def _happened(self, name: str, one: Person, event: dict[str, Any], at: int, late: bool) -> None:
        kind, id_ = event["type"], event["id"]
        if kind == "win":
            one.wins = sorted([*one.wins, (at, id_)])[-REMEMBERED:]
            later = self._won(name, one, at)
            if later is not None:
                self._enter(one, "chase", *later)
            if not late and self._enter(one, "thanks", at, id_):
                self._send(name, one, one.stays[-1], "thanks", at)
        elif kind == "lead" and not late:
            self._enter(one, "chase", at, id_)
        elif kind.removeprefix("message_") in SETTLED:
            self._settle(one, event["data"]["command_id"], kind.removeprefix("message_"))

    def _won(self, name: str, one: Person, at: int) -> tuple[int, str] | None:
        """End the chase, and take back what is out of any; return the lead that comes in next."""
        later = None
        for stay in list(one.stays):
            if stay.scenario != "chase" or at < stay.at:
                continue
            for out in stay.out:
                if out.state == "":
                    self.cancels.append((out.id, name, one.now))
                    out.state = "cancelled?"
            if stay.until is None:
                later = self._end(one, stay, at)
            else:
                self._close(one, stay)
        return later

    def _end(self, one: Person, stay: Stay, at: int) -> tuple[int, str] | None:
        one.ended[stay.scenario] = at
        later, stay.later = stay.later, None
        self._close(one, stay)
        return later if later is not None and later[0] > at else None

    def _close(self, one: Person, stay: Stay, after: int = -1) -> None:
        """Keep an ended stay up to the first time at which something of it is awaited no more."""
        times = [out.valid_until for out in stay.out if out.state in {"", "cancelled?"} and out.valid_until > after]
        if times:
            stay.until = min(times)
        else:
            one.stays.remove(stay)

    def _settle(self, one: Person, command: str, state: str) -> None:
        for stay in one.stays:
            for out in stay.out:
                if out.id == command and out.state in {"", "cancelled?"}:
                    out.state = state
                    if stay.until is not None:
                        self._close(one, stay)
                    return

    def _enter(self, one: Person, scenario: str, at: int, event: str) -> bool:
        inside = one.chase if scenario == "chase" else None
        if inside is not None:
            if (at, event) > (inside.later or (inside.at, inside.entry)):
                inside.later = (at, event)
            return False
        if any(stay.scenario == scenario and stay.entry == event for stay in one.stays):
            return False  # a repetition of what is long forgotten, while a message of the first is still awaited
        if at < one.ended.get(scenario, at):
            return False
        if scenario == "chase" and any(win >= at for win, _ in one.wins):
            return False
        stay = Stay(scenario, event, at, self.plan)
        if scenario == "chase":
            stay.due = at + self.waits[self.plan][0]
        one.stays.append(stay)
        return True

    def _send(self, name: str, one: Person, stay: Stay, step: str, due: int) -> None:
        command = named("command", stay.scenario, stay.entry, step)
        valid = due + VALID[step]
        version = self.versions[stay.plan, stay.scenario]
        self.commands.append((command, name, stay.scenario, step, version, self.plan, due, one.now, valid))
        stay.out.append(Out(command, valid))
        if step == "thanks":
            self._end(one, stay, due)

    def _fire(self, name: str) -> None:
        one = self.people[name]
        while (due := one.next_due()) is not None and due < self.watermark:
            stay = min(one.stays, key=lambda stay: stay.due if stay.until is None else stay.until)
            one.now = max(one.now, due)
            if stay.until is not None:
                for out in stay.out:
                    if out.state in {"", "cancelled?"} and out.valid_until <= due:
                        out.state = "overdue"
                self._close(one, stay, due)
                continue
            step = STEPS[stay.step]
            self._send(name, one, stay, step, due)
            if step == STEPS[-1]:
                later = self._end(one, stay, due)
                if later is not None:
                    self._enter(one, "chase", *later)
            else:
                stay.step, stay.due = 1, due + self.waits[stay.plan][1]
