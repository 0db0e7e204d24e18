"""The difference that a draft makes: the same stretch of a log through two plans, message by message.

Both replays lie on disk by customer; they are walked together, and of each customer who differs the decisions of both
sides say why. Kept in memory are counts, and five examples of each kind and step.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from models.command import Command
from models.decision import Decision
from pipeline.engine.plan import DAY_MS, Plan
from pipeline.replay.books import compiled
from pipeline.replay.changes import KINDS, Change, Decisions, changes_of
from pipeline.replay.diff_causes import cause_of
from pipeline.replay.guards import Guard
from pipeline.replay.results import Results
from pipeline.replay.spread import Replayed, Watch, replay
from pipeline.replay.task import Task
from pipeline.replay.tracing import trace
from pipeline.replay.verify import pairs
from pipeline.replay.workspace import COMMANDS, DECISIONS
from pipeline.scenario.sources import PlanSources

EXAMPLES = 5
Place = tuple[str, str, str]
_command = msgspec.json.Decoder(Command)
_decision = msgspec.json.Decoder(Decision)


@dataclass
class Difference:
    """What differs: counts by kind, scenario and step, with reasons and examples. `was` is what is compared with."""

    live: PlanSources
    draft: PlanSources
    was: Replayed
    now: Replayed
    sent: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)  # side, scenario, step, channel
    days: Counter[tuple[str, int]] = field(default_factory=Counter)  # side, day since 1970
    counts: Counter[Place] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    customers: Counter[str] = field(default_factory=Counter)
    differing: int = 0  # customers of whom anything differs
    examples: dict[Place, list[Change]] = field(default_factory=lambda: defaultdict(list))

    def total(self, side: str) -> int:
        """Return how many messages a side ("was", "now") sends."""
        return sum(count for key, count in self.sent.items() if key[0] == side)

    def of(self, kind: str) -> int:
        """Return how many messages differ in a way."""
        return sum(count for key, count in self.counts.items() if key[0] == kind)

    @property
    def changed(self) -> int:
        """Return how many messages differ."""
        return sum(self.counts.values())

    def over(self, share: int) -> bool:
        """Say whether more than a share (1/10000) of the messages compared with differ."""
        return self.changed * 10_000 > share * self.total("was")


def diff(
    task: Task, live: PlanSources, draft: PlanSources, out: Path, processes: int, watches: tuple[Watch, Watch]
) -> Difference:
    """Run both plans over a task's stretch, and compare; LogError where the log cannot give a whole answer."""
    whole = replace(task, decisions=True)
    was = replay(replace(whole, draft=live), out / "was", processes, watches[0])
    now = replay(replace(whole, draft=draft), out / "now", processes, watches[1])
    found = Difference(live, draft, was, now)
    with Results(was.folders) as old, Results(now.folders) as new:
        _walk(found, old, new)
    _explain(found, whole, out)
    return found


def _walk(found: Difference, old: Results, new: Results) -> None:
    live, draft = compiled(found.live), compiled(found.draft)
    for customer, was, now in pairs(old.rows(COMMANDS), new.rows(COMMANDS)):
        before, after = ([_command.decode(raw[1:]) for raw in side] for side in (was, now))
        _count(found, "was", before)
        _count(found, "now", after)
        changes = list(changes_of(customer, before, after))
        if changes:
            found.differing += 1
            decided = _decided(old, customer), _decided(new, customer)
            for kind in dict.fromkeys(change.kind for change in changes):
                found.customers[kind] += 1
            for change in changes:
                _note(found, change, decided, live, draft)


def _count(found: Difference, side: str, commands: list[Command]) -> None:
    for one in commands:
        found.sent[side, one.scenario, one.step, one.channel] += 1
        found.days[side, one.due_at // DAY_MS] += 1


def _decided(results: Results, customer: str) -> Decisions:
    return [_decision.decode(raw) for raw in results.of(DECISIONS, customer)]


def _note(found: Difference, change: Change, decided: tuple[Decisions, Decisions], live: Plan, draft: Plan) -> None:
    cause = cause_of(change, *decided, live, draft)
    found.counts[change.place] += 1
    found.reasons[(*change.place, cause.reason)] += 1
    if len(found.examples[change.place]) < EXAMPLES:
        found.examples[change.place].append(msgspec.structs.replace(change, cause=cause))


def _explain(found: Difference, task: Task, out: Path) -> None:
    """Give the examples the conditions as they were evaluated on either side, by running their customers again."""
    changes = [change for place in found.examples.values() for change in place]
    if not changes:
        return
    customers = tuple(sorted({change.customer for change in changes}))
    wanted = {name for change in changes for name in (change.command.enrolment, change.command.reason.event_id)}
    few = replace(task, customers=customers, decisions=False)
    sides = {
        "was": trace(replace(few, draft=found.live), out / "was-again", wanted),
        "now": trace(replace(few, draft=found.draft), out / "now-again", wanted),
    }
    for place, kept in found.examples.items():
        found.examples[place] = [_with_guards(change, sides) for change in kept]


def _with_guards(change: Change, sides: dict[str, list[Guard]]) -> Change:
    both = {side: tuple(_relevant(seen, change.command)) for side, seen in sides.items()}
    return msgspec.structs.replace(change, guards=both)


def _relevant(seen: list[Guard], command: Command) -> Iterator[Guard]:
    """Yield the conditions of a message's own scenario about its enrolment or entry event: each as it came out last."""
    last: dict[tuple[str, str, int, str], Guard] = {}
    for one in seen:
        about = one.enrolment == command.enrolment or one.event == command.reason.event_id
        if about and one.scenario == command.scenario and one.place != "goal":
            last[one.place, one.step, one.arm, one.source] = one
    yield from last.values()


def places(found: Difference) -> list[Place]:
    """Return what differs by scenario, step and kind, in that order."""
    return sorted(found.counts, key=lambda place: (place[1], place[2], KINDS.index(place[0])))
