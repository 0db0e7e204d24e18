"""Folds decisions: outcomes by day, who is inside where, and what became of those treated and those held out."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import msgspec

from agents.projector.batch import Enrolled, Record, Sums, read
from models.decision import Decision

ENDS = frozenset({"exited", "completed", "dropped"})
BOUGHT = "order_placed"
# A step that was passed: those inside wait after it.
PASSED = frozenset({"sent", "suppressed", "branched"})
_decoder = msgspec.json.Decoder(Decision)
_json = msgspec.json.Encoder().encode


class DecisionFold:
    """The decisions of one batch."""

    def __init__(self, day: Callable[[int, int], str]):
        self._day = day  # from a partition and a time (UTC ms)
        self._found: list[tuple[Record, Decision]] = []
        self.rows: list[tuple[Any, ...]] = []
        self.counts = Sums()
        self.inside = Sums()
        self.arms = Sums(4)
        self.changed: dict[str, Enrolled] = {}
        self.erased: list[str] = []

    def read(self, records: Iterable[Record]) -> None:
        """Take records of `decisions`."""
        for record in records:
            one = read(record, _decoder.decode)
            if one is not None:
                self._found.append((record, one))

    def names(self) -> set[str]:
        """Return the enrolments that are spoken of: their rows are wanted before `fold`."""
        return {one.enrolment for _, one in self._found if one.enrolment}

    def fold(self, known: dict[str, Any]) -> None:
        """Fold what was read over the rows that are known, by enrolment."""
        self._known = known
        for record, one in self._found:
            day = self._day(record.partition, one.at)
            if one.outcome == "dropped" and one.reason == "erasure":
                self.erased.append(one.customer)
            self.rows.append(
                (
                    record.partition, record.offset, one.at, one.customer, one.outcome, one.reason, one.scenario,
                    one.enrolment, one.step, one.event, one.command, one.version,
                    _json(one.detail).decode() if one.detail else "",
                )
            )  # fmt: skip
            self.counts.add((day, one.scenario, one.version, one.outcome, one.step, one.reason), 1)
            if one.outcome == "entered":
                self._enter(one, day)
            elif one.enrolment and one.outcome != "not_entered":
                self._move(one, day)

    def _enter(self, one: Decision, day: str) -> None:
        held_out = one.reason == "held_out"
        row = (one.enrolment, one.customer, one.scenario, one.version, one.at, day, held_out, "", "", 0, 0, 0)
        enrolled = Enrolled(row)
        self.changed[one.enrolment] = enrolled
        self.inside.add(enrolled.place, 1)
        self.arms.add((day, one.scenario, one.version, held_out), 1)

    def _move(self, one: Decision, day: str) -> None:
        enrolled = self.changed.get(one.enrolment)
        if enrolled is None:
            row = self._known.get(one.enrolment)
            if row is None:
                return
            enrolled = self.changed[one.enrolment] = Enrolled(row)
        if one.outcome == "goal" and not enrolled.goal_at:
            self._goal(enrolled, one)
        elif one.outcome in ENDS and not enrolled.ended:
            self.inside.add(enrolled.place, -1)
            enrolled.ended, enrolled.ended_at = one.outcome, one.at
            # Where on the graph they left: after the last step that they had done.
            left = "left_held_out" if enrolled.held_out else "left"
            self.counts.add((day, one.scenario, one.version, left, enrolled.step, one.reason), 1)
            if one.reason == BOUGHT and not enrolled.held_out:
                # In the middle of a wait, by buying: the rest of the messages did not nag them.
                self.counts.add((day, one.scenario, one.version, "spared", enrolled.step, one.reason), 1)
        elif one.outcome in PASSED and one.step and not enrolled.ended:
            self.inside.add(enrolled.place, -1)
            enrolled.step, enrolled.version = one.step, one.version
            self.inside.add(enrolled.place, 1)

    def _goal(self, enrolled: Enrolled, one: Decision) -> None:
        value = minor(one.detail.get("value"))
        enrolled.goal_at, enrolled.value = one.at, value
        key = (enrolled.day, enrolled.scenario, enrolled.version, bool(enrolled.held_out))
        self.arms.add(key, 0, 1, value, round(value / 100) ** 2)


def minor(value: Any) -> int:
    """Return a goal's value as whole minor units; 0 for what is no amount."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return 0
    return round(value)
