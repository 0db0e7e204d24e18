"""Which steps of a scenario come after a look at reactions: what they do is known only where messages were really sent.

A wait for `message_…`, a condition on opens, clicks, levels or scores, an entry or exit on such an event: whatever can
follow it in the program depends on what people did with messages.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from pipeline.engine.env import Expr
from pipeline.engine.plan import Plan, Scenario, Send

REACTIONS = "message_"
READS = frozenset({"profile.opens", "profile.clicks", "profile.last_open_at", "profile.last_click_at"})
# Functions that may count reactions, whatever their arguments.
ROOTS = frozenset({"score", "scores", "level", "levels", "segment", "segments", "count", "count_same"})


def reads_reactions(condition: Expr | None) -> bool:
    """Say whether an expression may read what people did with messages."""
    return condition is not None and any(
        read in READS or read.replace("(", ".").partition(".")[0] in ROOTS for read in condition.reads
    )


def _conditions(op: Any) -> Iterator[Expr | None]:
    for alternative in getattr(op, "alternatives", ()):
        yield from (alternative.where, alternative.when)
    if not isinstance(op, Send):
        for arm in getattr(op, "arms", ()):
            yield from (part for part in arm if isinstance(part, Expr))


def looks(op: Any) -> bool:
    """Say whether an op looks at reactions."""
    events = (alternative.on or "" for alternative in getattr(op, "alternatives", ()))
    return any(name.startswith(REACTIONS) for name in events) or any(map(reads_reactions, _conditions(op)))


def targets(op: Any) -> list[int]:
    """Return the ops that may follow an op."""
    found = [getattr(op, name) for name in ("next", "otherwise", "skip") if isinstance(getattr(op, name, None), int)]
    found += [one.goto for one in getattr(op, "alternatives", ())]
    found += [arm[-1] for arm in getattr(op, "arms", ())]
    return found


def dependent_steps(scenario: Scenario) -> frozenset[str]:
    """Return the names of the sends of a scenario that come after a look at reactions."""
    program = scenario.program
    if _outside(scenario):
        return frozenset(op.name for op in program if isinstance(op, Send))
    seen: set[int] = set()
    waiting = [target for op in program if looks(op) for target in targets(op)]
    while waiting:
        at = waiting.pop()
        if at not in seen and at < len(program):
            seen.add(at)
            waiting += targets(program[at])
    return frozenset(op.name for index, op in enumerate(program) if index in seen and isinstance(op, Send))


def _outside(scenario: Scenario) -> bool:
    events: Iterable[str] = [one.on for one in scenario.entries] + [one.on or "" for one in scenario.exits]
    conditions = [part for one in scenario.entries for part in (one.when, one.unless)]
    conditions += [part for one in scenario.exits for part in (one.where, one.when)]
    return any(name.startswith(REACTIONS) for name in events) or any(map(reads_reactions, conditions))


def dependent(plan: Plan) -> frozenset[tuple[str, str]]:
    """Return the (scenario, step) of a plan that come after a look at reactions."""
    return frozenset((one.name, step) for one in plan.versions.values() for step in dependent_steps(one))
