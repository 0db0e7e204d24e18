"""The interpreter of a scenario's program: an enrolment runs until it waits or ends."""

from typing import Any

from msgspec.structs import replace

from models.customer import NEVER, Enrolment, Remembered, Waiting
from models.ids import chance
from pipeline.engine.ending import end
from pipeline.engine.exits import holds
from pipeline.engine.memory import view_of
from pipeline.engine.plan import Alternative, Branch, Done, Exit, Scenario, Send, Split, Wait, WaitFor
from pipeline.engine.sending import send
from pipeline.engine.work import Happening, Work

# A program without a wait in a circle cannot be compiled; this bound makes sure of it.
OPS_MAX = 1_000
SHARES = 10_000


def run(work: Work, name: str) -> None:
    """Let an enrolment do its steps until it waits or ends."""
    for _ in range(OPS_MAX):
        enrolment = work.enrolment(name)
        if enrolment is None or enrolment.closing or enrolment.waiting is not None or enrolment.held_out:
            return
        scenario = work.scenario_of(enrolment)
        if scenario is None:
            end(work, enrolment, work.now, "exited", "version_missing")
            return
        _do(work, scenario, enrolment)
    raise RuntimeError(f"{name}: more than {OPS_MAX} steps without a wait")


def _do(work: Work, scenario: Scenario, enrolment: Enrolment) -> None:
    op = scenario.program[enrolment.at_step]
    match op:
        case Wait():
            _begin_wait(work, enrolment, op)
        case WaitFor():
            _begin_wait_for(work, enrolment, op)
        case Send():
            send(work, scenario, enrolment, op)
        case Branch():
            _branch(work, enrolment, op)
        case Split():
            _split(work, enrolment, op)
        case Exit():
            end(work, enrolment, enrolment.clock, "exited", op.reason)
        case Done():
            end(work, enrolment, enrolment.clock, "completed", "last step")


def _begin_wait(work: Work, enrolment: Enrolment, op: Wait) -> None:
    since = enrolment.clock
    due_max = since + op.at_most_ms if op.at_most_ms is not None else None
    due = since + op.for_ms
    waiting = Waiting(since=since, due=due if due_max is None else min(due, due_max), due_max=due_max)
    work.put(_restarted_by_memory(work, replace(enrolment, waiting=waiting), op))


def _restarted_by_memory(work: Work, enrolment: Enrolment, op: Wait) -> Enrolment:
    """A restarting event that was read before the wait began counts from its own `at`, in the order of `at`."""
    if op.restart_on is None:
        return enrolment
    for kept in work.remembered:
        if kept.type == op.restart_on:
            enrolment = restarted(enrolment, op, kept.at)
    return enrolment


def restarted(enrolment: Enrolment, op: Wait, at: int) -> Enrolment:
    """Begin a wait anew at a time, unless it is before the wait or after the due time in force."""
    waiting = enrolment.waiting
    if waiting is None or at < waiting.since or at > waiting.due:
        return enrolment
    due = at + op.for_ms
    if waiting.due_max is not None:
        due = min(due, waiting.due_max)
    return replace(enrolment, waiting=replace(waiting, due=max(due, waiting.due)))


def _begin_wait_for(work: Work, enrolment: Enrolment, op: WaitFor) -> None:
    since = enrolment.clock
    due = since + op.at_most_ms if op.at_most_ms is not None else NEVER
    enrolment = replace(enrolment, waiting=Waiting(since=since, due=due))
    work.put(enrolment)
    begin = enrolment.entry.at if op.since_entry else since
    for kept in work.remembered:
        if begin <= kept.at <= due and kept.id != enrolment.entry.event and take(work, enrolment, op, kept):
            return
    look_at_alternatives(work, enrolment, op, work.now)


def look_at_alternatives(work: Work, enrolment: Enrolment, op: WaitFor, at: int) -> None:
    """Go on by the first alternative whose condition holds now."""
    for alternative in op.alternatives:
        if alternative.when is not None and alternative.when.holds(work.env(enrolment)):
            clock = max(enrolment.clock, at)
            work.put(replace(enrolment, waiting=None, clock=clock, at_step=alternative.goto))
            work.ready.append(enrolment.id)
            return


def take(work: Work, enrolment: Enrolment, op: WaitFor, event: Remembered) -> bool:
    """Go on by the first alternative that this event satisfies; say whether there was one."""
    view = view_of(event)
    for alternative in op.alternatives:
        if alternative.on != event.type or not _about(enrolment, alternative, view):
            continue
        if not holds(alternative.where, work.env(enrolment, view)):
            continue
        names = enrolment.names
        if alternative.keep_as is not None:
            names = {**names, alternative.keep_as: replace(event, data=view)}
        clock = max(enrolment.clock, event.at)
        work.put(replace(enrolment, waiting=None, clock=clock, at_step=alternative.goto, names=names))
        work.ready.append(enrolment.id)
        return True
    return False


def _about(enrolment: Enrolment, alternative: Alternative, view: dict[str, Any]) -> bool:
    if alternative.of is None:
        return True
    return any(sent.step == alternative.of and sent.command == view.get("command_id") for sent in enrolment.sent)


def wake(work: Work, happening: Happening) -> None:
    """Let an event restart waits and satisfy those who wait for it."""
    for enrolment in work.enrolments:
        waiting, scenario = enrolment.waiting, work.scenario_of(enrolment)
        if waiting is None or enrolment.closing or scenario is None:
            continue
        op = scenario.program[enrolment.at_step]
        if isinstance(op, Wait) and op.restart_on == happening.type:
            work.put(restarted(enrolment, op, happening.at))
        elif isinstance(op, WaitFor):
            begin = enrolment.entry.at if op.since_entry else waiting.since
            if begin <= happening.at <= waiting.due:
                kept = _kept(work, happening)
                if kept is None or not take(work, enrolment, op, kept):
                    look_at_alternatives(work, enrolment, op, happening.at)


def _kept(work: Work, happening: Happening) -> Remembered | None:
    for kept in work.remembered:
        if kept.id == happening.id and kept.type == happening.type:
            return kept
    return None


def _branch(work: Work, enrolment: Enrolment, op: Branch) -> None:
    goto, took = op.next, "none"
    for number, (condition, target) in enumerate(op.arms, 1):
        if holds(condition, work.env(enrolment)):
            goto, took = target, condition.source if condition else "otherwise"
            work.decide("branched", took, enrolment, step=op.label, detail={"arm": number})
            break
    else:
        work.decide("branched", took, enrolment, step=op.label)
    work.put(replace(enrolment, at_step=goto))


def _split(work: Work, enrolment: Enrolment, op: Split) -> None:
    """The same path at re-entry and in replay: a hash of (scenario, split, customer)."""
    drawn = chance(SHARES, "split", enrolment.scenario, op.name, work.id)
    chosen = work.plan.choose.get(op.name)
    upto = 0
    for path, share, goto in op.arms:
        upto += share
        if path == chosen or (chosen is None and drawn < upto):
            paths = {**enrolment.paths, op.name: path}
            work.decide("branched", path, enrolment, step=op.name)
            work.put(replace(enrolment, at_step=goto, paths=paths))
            return
    raise RuntimeError(f"split {op.name}: shares do not sum to the whole")
