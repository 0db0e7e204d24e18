"""What a replay counts while it goes, and at its end: the figures of its summary, by key.

Counts of units add up: a customer is in one unit alone. The keys are tuples that begin with what is counted.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import groupby

import msgspec

from models.command import Command
from models.customer import Customer
from models.decision import Decision
from pipeline.engine.plan import HOUR_MS, Plan
from pipeline.replay.reactions import Hush, dependent, hushes
from pipeline.replay.workspace import COMMANDS, REAL, Workspace
from pipeline.runtime.batch import Batch

Key = tuple[str, ...]


class Brief(msgspec.Struct, frozen=True):
    """What is read again of a command at the end."""

    scenario: str
    step: str
    channel: str
    purpose: str


_brief = msgspec.json.Decoder(Brief)


def _touched(silences: tuple[Hush, ...], customer: Customer | None, one: Brief) -> bool:
    return any(hush.may_touch(one.purpose, one.channel, customer) for hush in silences)


class Counting:
    """Counts batches as they are committed, and customers at the end."""

    def __init__(self) -> None:
        self.counts: Counter[Key] = Counter()

    def take(self, batch: Batch) -> None:
        """Count what a batch sends and decides."""
        for command in batch.commands:
            self._command(command)
        for decision in batch.decisions:
            self._decision(decision)
        self.counts["dead_letters",] += len(batch.dead_letters)
        self.counts["cancels",] += len(batch.cancels)

    def _command(self, command: Command) -> None:
        self.counts["sent", command.scenario, command.step, command.channel] += 1
        hour = str(command.emitted_at // HOUR_MS)
        self.counts["hour", command.channel, hour] += 1
        self.counts["hour_of", command.scenario, hour] += 1

    def _decision(self, one: Decision) -> None:
        match one.outcome:
            case "entered":
                self.counts["entered", one.scenario] += 1
                if one.reason == "held_out":
                    self.counts["held_out", one.scenario] += 1
            case "suppressed" | "waiting":
                self.counts[one.outcome, one.scenario, one.step, one.reason] += 1
            case "not_entered" | "exited" | "completed" | "dropped" | "failed" | "cancelled":
                self.counts[one.outcome, one.scenario, one.reason] += 1
            case "goal":
                self._goal(one)

    def _goal(self, one: Decision) -> None:
        held_out = "held_out" if one.detail.get("held_out") else ""
        self.counts["goal", one.scenario, held_out] += 1
        value = one.detail.get("value")
        if isinstance(value, int) and not isinstance(value, bool):
            self.counts["goal_value", one.scenario, held_out] += value

    def finish(self, space: Workspace, plan: Plan) -> None:
        """Count by customer: messages of each, how many of them rest on what is not known, who is inside."""
        after_looks, silences = dependent(plan), hushes(plan)
        for name, rows in groupby(space.results(COMMANDS), key=lambda row: row[0]):
            known = space.get(name)
            # Who was written to and then forgotten is one of those who are counted.
            self.counts["customers",] += known is None
            touching = partial(_touched, silences, known if silences else None)
            self._customer([value for _, value in rows], after_looks, touching)
        for name in space.states():
            found = space.get(name)
            self.counts["customers",] += 1
            for enrolment in found.enrolments if found is not None else ():
                if not enrolment.closing:
                    self.counts["inside", enrolment.scenario] += 1

    def _customer(
        self, commands: list[bytes], after_looks: frozenset[tuple[str, str]], silenced: Callable[[Brief], bool]
    ) -> None:
        """A command is exact unless a look at reactions may stand between it and a message that nobody sent."""
        self.counts["histogram", str(len(commands))] += 1
        unsent = False
        for raw in commands:
            one = _brief.decode(raw[1:])
            supposed = unsent and ((one.scenario, one.step) in after_looks or silenced(one))
            self.counts["supposed" if supposed else "exact", one.scenario, one.step] += 1
            unsent = unsent or raw[:1] != REAL
