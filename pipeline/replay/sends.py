"""What became of each send of one passage: sent, and what the senders say of it, or the first thing that stopped it."""

from dataclasses import dataclass
from typing import Any

from models.command import Command
from models.decision import Decision
from models.ids import command_id
from models.receipt import FINAL, Receipt
from pipeline.engine.plan import Scenario, Send
from pipeline.replay.explanation import Line, SendStep
from pipeline.replay.records import Records
from pipeline.replay.shown import moment

ENDS = frozenset({"exited", "completed", "dropped"})
REACHED = frozenset({"sent", "suppressed", "waiting"})


@dataclass(frozen=True, slots=True)
class Told:
    """One passage: its decisions with their lines, its entry, and the customer's erasure where one came after it.

    `stands` says where it stands now, "" where that is not known.
    """

    records: Records
    decisions: list[Decision]
    lines: list[Line]
    entered: Decision | None
    erased: Decision | None
    stands: str = ""

    def steps(self, scenario: Scenario | None) -> list[SendStep]:
        """Return every send of the version, in its order, and any that was reached."""
        reached = [one.step for one in self.decisions if one.outcome in REACHED]
        program = [op.name for op in scenario.program if isinstance(op, Send)] if scenario is not None else []
        return [self._step(name) for name in dict.fromkeys([*program, *reached])]

    def _step(self, name: str) -> SendStep:
        mine = [n for n, one in enumerate(self.decisions) if one.step == name and one.outcome in REACHED]
        sent = [n for n in mine if self.decisions[n].outcome == "sent"]
        if sent:
            return self._sent(self.decisions[sent[-1]])
        wanted = command_id(self.decisions[-1].scenario, self.entered.event, name) if self.entered is not None else ""
        if not mine:
            reason, text = self._not_reached()
            return SendStep(step=name, command=wanted, outcome="not_reached", reason=reason, text=text)
        last, line = self.decisions[mine[-1]], self.lines[mine[-1]]
        text = _said(line)
        outcome = "not_sent"
        if last.outcome == "waiting":
            end = self._end(mine[-1])
            outcome = "waiting" if end is None else "not_sent"
            text += "" if end is None else f"; before that {end}"
        return SendStep(
            step=name, command=wanted, outcome=outcome, reason=last.reason, text=text, at=line.at, cause=line.cause
        )

    def _end(self, after: int) -> str | None:
        """Return how a passage ended after one of its decisions; None where it goes on."""
        for number in range(after + 1, len(self.decisions)):
            if self.decisions[number].outcome in ENDS:
                return _said(self.lines[number])
        return None if self.erased is None else self._erasure()

    def _erasure(self) -> str:
        assert self.erased is not None
        return f"the customer was forgotten at {moment(self.erased.at)}, as they had asked"

    def _not_reached(self) -> tuple[str, str]:
        for number, one in enumerate(self.decisions):
            if one.outcome == "completed" and one.reason != "held_out":
                ways = [
                    f"{way.step or 'branch'} took {way.reason!r}" for way in self.decisions if way.outcome == "branched"
                ]
                said = "the way through the scenario went past it"
                return "other way", f"{said}: {', '.join(ways)}" if ways else said
            if one.outcome in ENDS:
                return one.reason, _said(self.lines[number])
        if self.erased is not None:
            return "erasure", self._erasure()
        return "inside", f"still to come: the customer {self.stands or 'is inside, and waits'}"

    def _sent(self, one: Decision) -> SendStep:
        command = next((found for found in self.records.commands if found.id == one.command), None)
        receipts = self.records.receipts_of(one.command)
        cancelled = [
            line
            for line, other in zip(self.lines, self.decisions, strict=True)
            if other.outcome == "cancelled" and other.command == one.command
        ]
        outcome, text = _outcome(command, receipts, cancelled)
        return SendStep(
            step=one.step,
            command=one.command,
            outcome=outcome,
            reason=receipts[-1].reason if receipts and receipts[-1].reason else one.reason,
            text=text,
            at=moment(one.at),
            due_at=moment(command.due_at) if command is not None else None,
            plan=command.plan if command is not None else "",
            cause=cancelled[-1].cause if cancelled else None,
            receipts=tuple(_receipt(found) for found in receipts),
        )


def _receipt(one: Receipt) -> dict[str, Any]:
    return {"state": one.state, "at": moment(one.at), "reason": one.reason}


def _said(line: Line) -> str:
    return line.cause.text if line.cause is not None else f"{line.outcome}: {line.reason}"


def _outcome(command: Command | None, receipts: list[Receipt], cancelled: list[Line]) -> tuple[str, str]:
    ends = [one for one in receipts if one.state in FINAL]
    if ends:
        last = ends[-1]
        because = f": {last.reason}" if last.reason else ""
        why = f"; {cancelled[-1].cause.text}" if cancelled and cancelled[-1].cause and last.state != "sent" else ""
        despite = "; the engine had taken it back, too late" if cancelled and last.state == "sent" else ""
        return last.state, f"{last.state} at {moment(last.at)}{because}{_expiry(command, last)}{why}{despite}"
    if cancelled:
        cause = cancelled[-1].cause
        return "cancelled", cause.text if cause else "the engine took it back"
    held = f": {receipts[-1].state}, {receipts[-1].reason}" if receipts else ""
    return "pending", f"no sender has said what became of it{held}"


def _expiry(command: Command | None, last: Receipt) -> str:
    if last.state != "expired" or command is None:
        return ""
    return f" (due at {moment(command.due_at)}, valid until {moment(command.valid_until)})"
