"""Which sends of a plan may depend on what people did with messages: known only where those were really sent.

A *look* is an op that waits for a reaction or reads one: `message_…`, opens, clicks, the best hour, and whatever is
made of them: scores, counts, segments, levels, consent. What can follow a look in its program depends on it, and so
does what such steps write: attributes, scores, scenarios that they start or that others ask about. An entry or an exit
that looks makes all sends of its scenario dependent. One round finds what follows from the last one's finds, until
nothing is new. A silence of the settings that looks touches every send of its purpose; but one that begins with
`has(customer.x) && …` touches only customers of whom x is known.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from models.customer import Customer
from models.scenario import STATES
from pipeline.engine.env import Expr
from pipeline.engine.moving import PROFILE_MOVED_BY
from pipeline.engine.plan import AddScore, Plan, Scenario, Send, SetAttributes, Start, Until, Wait
from pipeline.engine.rules import key_of, reads_of
from pipeline.scenario.expressions.parse import Node, parse

REACTIONS = "message_"
# A reaction counts no channel of visits; a field that nobody lists may be moved by any event.
MOVED_BY = {**PROFILE_MOVED_BY, "channels": ()}
# What a change of state is about: segment_entered -> "segment.".
ABOUT = {on: on.partition("_")[0] + "." for on in STATES}
Step = tuple[str, str]


def dependent(plan: Plan) -> frozenset[Step]:
    """Return the (scenario, step) of a plan that may depend on reactions."""
    return _Dependence(plan).steps()


@dataclass(frozen=True)
class Hush:
    """A silence that looks: what it may hold back, of whom these attributes are known."""

    purpose: str
    channel: str | None
    needs: tuple[str, ...]

    def may_touch(self, purpose: str, channel: str, customer: Customer | None) -> bool:
        """Say whether it may hold back a message to a customer, in the state that the replay left."""
        if self.purpose != purpose or self.channel not in {None, channel}:
            return False
        return all(customer is not None and name in customer.cold.attributes for name in self.needs)


def hushes(plan: Plan) -> tuple[Hush, ...]:
    """Return the silences of a plan that look at reactions."""
    found = _Dependence(plan)
    found.steps()
    return tuple(
        Hush(one.purpose, one.channel, tuple(_needed(parse(one.when.source))))
        for one in plan.settings.silences
        if found.reads(one.when)
    )


def _needed(node: Node) -> Iterator[str]:
    """Yield the attributes without which a condition cannot hold: `has(customer.x)` in an outermost `&&`."""
    if node.kind == "and":
        for part in node.parts:
            yield from _needed(part)
    elif node.kind == "call" and node.value == "has":
        asked = node.parts[0]
        if asked.parts and asked.parts[0].value == "customer":
            yield str(asked.value)


class _Dependence:
    """What of one plan depends on reactions, found round by round."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self.rules = {key_of(rule): rule for rule in plan.rules.rules}
        self.scores = {score.name: score for score in plan.rules.scores}
        self.counted = {one.key: one.on for one in plan.rules.counters}
        # Reads that depend: "customer.x", "score.x", "sent.scenario/step", "inside.x", and scenarios as "start.x".
        self.known: set[str] = set()

    def steps(self) -> frozenset[Step]:
        """Return the sends that depend."""
        before = -1
        while len(self.known) > before:
            before = len(self.known)
            for scenario in self.plan.versions.values():
                self._spread(scenario)
        versions = self.plan.versions.values()
        sends = [(one.name, op.name) for one in versions for op in one.program if isinstance(op, Send)]
        return frozenset(step for step in sends if f"sent.{step[0]}/{step[1]}" in self.known)

    def _spread(self, scenario: Scenario) -> None:
        """Note what a scenario's steps make dependent."""
        for index in self._region(scenario):
            op = scenario.program[index]
            self.known.add(f"inside.{scenario.name}")
            match op:
                case Send():
                    self.known.add(f"sent.{scenario.name}/{op.name}")
                case SetAttributes():
                    self.known.update(f"customer.{name}" for name, _ in op.values)
                case AddScore():
                    self.known.update(f"score.{name}" for name, _ in op.points)
                case Start():
                    self.known.add(f"start.{op.scenario}")

    def _region(self, scenario: Scenario) -> Iterable[int]:
        """Return the ops that depend: all of them, or what can follow a look and what looks itself."""
        program = scenario.program
        if f"start.{scenario.name}" in self.known or self._entry_looks(scenario):
            return range(len(program))
        itself = [index for index, op in enumerate(program) if self._itself(op)]
        waiting = [target for op in program if self._looks(scenario, op) for target in targets(op)]
        seen: dict[int, None] = dict.fromkeys(itself)
        passed: dict[int, None] = {}
        while waiting:
            at = waiting.pop()
            if at not in passed and at < len(program):
                passed[at] = None
                waiting += targets(program[at])
        return {**seen, **passed}

    def _itself(self, op: Any) -> bool:
        """Say whether a step depends without standing after a look: by what it holds."""
        if isinstance(op, Send):
            return any(self.reads(value) for _, value in op.data)
        return isinstance(op, SetAttributes) and any(self.reads(value) for _, value in op.values)

    def _entry_looks(self, scenario: Scenario) -> bool:
        """Say whether who is inside depends: by an entry or an exit."""
        entries = any(
            self._event(scenario, one.on, one.subject) or self.reads(one.when) or self.reads(one.unless)
            for one in scenario.entries
        )
        return entries or any(
            self._event(scenario, one.on) or self.reads(one.where) or self.reads(one.when) for one in scenario.exits
        )

    def _looks(self, scenario: Scenario, op: Any) -> bool:
        if isinstance(op, Until) and op.best_of is not None:
            return True
        if isinstance(op, Wait):
            return self._event(scenario, op.restart_on)
        events = [one.on for one in getattr(op, "alternatives", ())]
        return any(self._event(scenario, on) for on in events) or any(self.reads(one) for one in _conditions(op))

    def _event(self, scenario: Scenario, on: str | None, subject: str = "") -> bool:
        """Say whether an event is a reaction, or a change of state that one may bring about."""
        if on is None:
            return False
        if on not in ABOUT:
            return on.startswith(REACTIONS)
        if subject:
            return self._read(subject, {})
        return any(self._read(read, {}) for read in scenario.uses if read.startswith(ABOUT[on]))

    def reads(self, condition: Expr | None) -> bool:
        """Say whether an expression may read what depends on reactions."""
        if condition is None:
            return False
        counted = {one.key: one.on for one in condition.counters}
        return any(self._read(read, counted) for read in condition.reads)

    def _read(self, read: str, counted: dict[str, str]) -> bool:
        """Say whether what is read may depend on a reaction."""
        if read in self.known:
            return True
        root, _, name = read.partition(".")
        match root:
            case "profile":
                return _any_reaction(MOVED_BY.get(name, (REACTIONS,)))
            case "score":
                return name in self.scores and _any_reaction(self.scores[name].points)
            case "count":
                return _any_reaction((counted.get(name) or self.counted.get(name, ""),))
            case "segment" | "level":
                rule = self.rules.get(read)
                return rule is not None and any(self._read(inner, {}) for inner in reads_of(rule))
        return root == "consent"


def _any_reaction(kinds: Iterable[str]) -> bool:
    return any(kind.startswith(REACTIONS) for kind in kinds)


def _conditions(op: Any) -> Iterator[Expr | None]:
    for alternative in getattr(op, "alternatives", ()):
        yield from (alternative.where, alternative.when)
    for arm in getattr(op, "arms", ()):
        yield from (part for part in arm if isinstance(part, Expr))
    if isinstance(op, Until):
        yield op.day


def targets(op: Any) -> list[int]:
    """Return the ops that may follow an op."""
    found = [getattr(op, name) for name in ("next", "otherwise", "skip") if isinstance(getattr(op, name, None), int)]
    found += [one.goto for one in getattr(op, "alternatives", ())]
    found += [arm[-1] for arm in getattr(op, "arms", ())]
    return found
