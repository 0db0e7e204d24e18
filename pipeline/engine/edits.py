"""What an edit does to those inside: pin leaves them on their version, migrate moves them, drain lets nobody new in.

A position is the last named step done, and the waits passed and the writes done since. It is looked up in the new
version; where that has no such step, by the named step before it and what came since that one. Where it has none of
those that were passed, the enrolment ends as `step_removed`. Between waits the new version's branches are taken as
their conditions hold now. A wait begins where the old one began, with the events that restarted it; one that would be
over already is over at the activation, so that what it kept back is not due in the past. A step once sent is never sent
again, nor is what a step wrote written again: of several in a row as many are left out as were done.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from models.customer import Enrolment, Passed
from pipeline.engine.ending import end
from pipeline.engine.exits import exit_condition, holds, overtaken_by
from pipeline.engine.plan import (
    AddScore,
    Branch,
    Plan,
    Scenario,
    Send,
    SetAttributes,
    Split,
    Start,
    Until,
    Wait,
    WaitFor,
)
from pipeline.engine.trail import TIMED_OUT, WROTE
from pipeline.engine.until import begin_until
from pipeline.engine.waits import begin_wait, begin_wait_for
from pipeline.engine.work import Work

MIGRATE, DRAIN = "migrate", "drain"
WAITS = (Wait, Until, WaitFor)


def target_of(plan: Plan, enrolment: Enrolment) -> Scenario | None:
    """Return the live version to which an open enrolment is to be moved, None where it stays."""
    if enrolment.closing:
        return None
    live = plan.live.get(enrolment.scenario)
    if live is None or live.on_change != MIGRATE or live.version == enrolment.version:
        return None
    return live


def migrate(work: Work, enrolment: Enrolment, live: Scenario, at: int) -> None:
    """Move an enrolment to the live version at an activation (UTC ms), or end it."""
    moved = replace(enrolment, version=live.version)
    if enrolment.held_out:
        work.put(moved)
        return
    trail, found = _position(work, live, moved)
    if found is None:
        end(work, enrolment, work.now, "exited", "step_removed", cancel=True)
        return
    moved = replace(moved, at_step=found, waiting=None, trail=trail)
    work.put(moved)
    work.decide("migrated", enrolment.version, moved)
    if not _ends_at_once(work, live, moved):
        _stand(work, live, moved, at)


def _stand(work: Work, live: Scenario, enrolment: Enrolment, at: int) -> None:
    """Stand at a wait as of when the old one began; nothing that is over, or comes next, is due before the edit."""
    match live.program[enrolment.at_step]:
        case Wait() as op:
            begin_wait(work, enrolment, op)
        case Until() as op:
            begin_until(work, enrolment, op)
        case WaitFor() as op:
            begin_wait_for(work, enrolment, op)
    found = work.enrolment(enrolment.id)
    if found is None or found.closing:
        return
    waiting = found.waiting
    if waiting is None:
        work.put(replace(found, clock=max(found.clock, at)))
        work.ready.append(found.id)
    elif waiting.due < at:
        work.put(replace(found, waiting=replace(waiting, due=at)))


def _ends_at_once(work: Work, live: Scenario, enrolment: Enrolment) -> bool:
    """Let the new version's exits act on what is known already."""
    reason = exit_condition(work, live, enrolment)
    if reason is None and overtaken_by(work, live, enrolment) is not None:
        reason = "overtaken"
    if reason is None:
        return False
    end(work, enrolment, work.now, "exited", reason, cancel=True)
    return True


def _position(work: Work, live: Scenario, enrolment: Enrolment) -> tuple[tuple[Passed, ...], int | None]:
    """Return the trail as far as the new version has it, and the index of the op to stand at (None: nowhere)."""
    named = [kept for kept in enrolment.trail if kept.step]
    if not named:
        ways = enrolment.trail[0].ways if enrolment.trail else ()
        return enrolment.trail, _walk(work, live, enrolment, 0, ways)
    for count, kept, ways in _backwards(enrolment.trail):
        after = _after(live, enrolment, kept.step)
        if after is not None:
            trail = (*enrolment.trail[: count - 1], Passed(kept.step, ways))
            return trail, _walk(work, live, enrolment, after, ways)
    return (), None


def _backwards(trail: tuple[Passed, ...]) -> Iterator[tuple[int, Passed, tuple[int, ...]]]:
    """Yield the named steps passed, the last first: how many entries up to it, and the waits passed since."""
    ways: tuple[int, ...] = ()
    for index in range(len(trail) - 1, -1, -1):
        ways = (*trail[index].ways, *ways)
        if trail[index].step:
            yield index + 1, trail[index], ways


def _after(live: Scenario, enrolment: Enrolment, name: str) -> int | None:
    """Return the index of what follows a named step in a version, None where it has none of that name or path."""
    for op in live.program:
        if isinstance(op, Send) and op.name == name:
            return op.next
        if isinstance(op, Split) and op.name == name:
            return next((goto for path, _, goto in op.arms if path == enrolment.paths.get(name)), None)
    return None


def _walk(work: Work, live: Scenario, enrolment: Enrolment, index: int, ways: tuple[int, ...]) -> int:
    """Return the op at which somebody stands who has passed these waits from an op on.

    A named step or an end that comes before all of them were met is where they stand: it was not there before.
    """
    left = list(ways)
    for _ in live.program:  # there is no circle: no op comes twice
        op = live.program[index]
        if isinstance(op, Branch):
            index = _arm(work, enrolment, op)
        elif left and isinstance(op, Start | SetAttributes | AddScore):
            # Done already, or new but before what was passed: neither is done now.
            left = left[1:] if left[0] == WROTE else left
            index = op.next
        elif any(way != WROTE for way in left) and isinstance(op, WAITS):
            left = left[next(at for at, way in enumerate(left) if way != WROTE) :]
            following = _left_by(op, left.pop(0))
            if following is None:
                return index
            index = following
        else:
            return index
    return index


def _arm(work: Work, enrolment: Enrolment, op: Branch) -> int:
    env = work.env(enrolment)
    return next((goto for condition, goto in op.arms if holds(condition, env)), op.next)


def _left_by(op: Wait | Until | WaitFor, way: int) -> int | None:
    """Return what follows a wait that was left by a way; None where it has no such way any more."""
    if not isinstance(op, WaitFor):
        return op.next
    if way == TIMED_OUT:
        return op.otherwise
    return op.alternatives[way].goto if way < len(op.alternatives) else None
