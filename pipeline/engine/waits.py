"""Waits: for a time, and for an event or condition with a time-out.

All times are those of the enrolment's own clock: a wait counts from when the step before was done, an event counts by
its `at`. Reading an event early or late therefore moves no wait: one that was read before the wait began is found among
the remembered ones.
"""

from typing import Any

from msgspec.structs import replace

from models.customer import NEVER, Enrolment, Remembered, Waiting
from pipeline.engine.exits import holds
from pipeline.engine.memory import as_remembered, by_time, view_of
from pipeline.engine.plan import Alternative, Wait, WaitFor
from pipeline.engine.trail import TIMED_OUT, with_wait
from pipeline.engine.work import Happening, Work


def begin_wait(work: Work, enrolment: Enrolment, op: Wait) -> None:
    """Stand at a wait for a time."""
    since = enrolment.clock
    due_max = None if op.at_most_ms is None else since + op.at_most_ms
    due = since + op.for_ms
    waiting = Waiting(since=since, due=due if due_max is None else min(due, due_max), due_max=due_max)
    work.put(restarted_by_memory(work, replace(enrolment, waiting=waiting), op))


def restarted_by_memory(work: Work, enrolment: Enrolment, op: Wait) -> Enrolment:
    """Count the restarting events that are remembered, in the order of their `at`.

    One read early may lie beyond the due time until an earlier one, read late, has moved that.
    """
    for kept in work.remembered:
        if kept.type == op.restart_on:
            enrolment = _restarted(enrolment, op, kept.at)
    return enrolment


def _restarted(enrolment: Enrolment, op: Wait, at: int) -> Enrolment:
    """Begin a wait anew at a time, unless it is before the wait or after the due time in force."""
    waiting = enrolment.waiting
    if waiting is None or at < waiting.since or at > waiting.due:
        return enrolment
    due = at + op.for_ms
    if waiting.due_max is not None:
        due = min(due, waiting.due_max)
    return enrolment if due <= waiting.due else replace(enrolment, waiting=replace(waiting, due=due))


def begin_wait_for(work: Work, enrolment: Enrolment, op: WaitFor) -> None:
    """Stand at a wait for something, or go on at once if it was read already or holds already."""
    since = enrolment.clock
    due = NEVER if op.at_most_ms is None else since + op.at_most_ms
    enrolment = replace(enrolment, waiting=Waiting(since=since, due=due))
    work.put(enrolment)
    for kept in sorted(work.remembered, key=by_time):
        if _counts(enrolment, op, kept) and _take(work, enrolment, op, kept):
            return
    look_at_conditions(work, enrolment, op, since)


def _counts(enrolment: Enrolment, op: WaitFor, event: Remembered) -> bool:
    """Say whether an event lies in the wait's time and is not what brought the enrolment here."""
    waiting = enrolment.waiting
    if waiting is None or event.id == enrolment.entry.event:
        return False
    if op.since_entry:
        return enrolment.entry.at <= event.at <= waiting.due
    return waiting.since <= event.at <= waiting.due and event.id != enrolment.by


def look_at_conditions(work: Work, enrolment: Enrolment, op: WaitFor, at: int) -> None:
    """Go on by the first alternative whose condition holds now, as of a moment (UTC ms)."""
    for way, alternative in enumerate(op.alternatives):
        if alternative.when is not None and alternative.when.holds(work.env(enrolment)):
            clock, trail = max(enrolment.clock, at), with_wait(enrolment, way)
            work.put(replace(enrolment, waiting=None, clock=clock, at_step=alternative.goto, trail=trail))
            work.ready.append(enrolment.id)
            return


def time_out(work: Work, enrolment: Enrolment, op: WaitFor, due: int) -> Enrolment:
    """Return the enrolment after the wait's last moment: time alone may have made a condition true."""
    env = work.env(enrolment)
    for way, one in enumerate(op.alternatives):
        if one.when is not None and one.when.holds(env):
            return replace(enrolment, waiting=None, clock=due, at_step=one.goto, trail=with_wait(enrolment, way))
    trail = with_wait(enrolment, TIMED_OUT)
    return replace(enrolment, waiting=None, clock=due, at_step=op.otherwise, trail=trail)


def _take(work: Work, enrolment: Enrolment, op: WaitFor, event: Remembered) -> bool:
    """Go on by the first alternative that this event satisfies; say whether there was one."""
    view = view_of(event)
    for way, alternative in enumerate(op.alternatives):
        if alternative.on != event.type or not _about(enrolment, alternative, view):
            continue
        if not holds(alternative.where, work.env(enrolment, view)):
            continue
        names = enrolment.names
        if alternative.keep_as is not None:
            names = {**names, alternative.keep_as: replace(event, data=view)}
        work.put(
            replace(
                enrolment,
                waiting=None,
                clock=max(enrolment.clock, event.at),
                at_step=alternative.goto,
                names=names,
                by=event.id,
                trail=with_wait(enrolment, way),
            )
        )
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
        scenario = work.scenario_of(enrolment)
        if enrolment.waiting is None or enrolment.closing or enrolment.held_out or scenario is None:
            continue
        op = scenario.program[enrolment.at_step]
        if isinstance(op, Wait) and op.restart_on == happening.type:
            restarted = restarted_by_memory(work, _restarted(enrolment, op, happening.at), op)
            if restarted is not enrolment:
                work.put(restarted)
        elif isinstance(op, WaitFor):
            _wake_one(work, enrolment, op, happening)


def _wake_one(work: Work, enrolment: Enrolment, op: WaitFor, happening: Happening) -> None:
    """Go on by the event; else by a condition, which speaks of the state, whatever event brought it about."""
    event = as_remembered(work, happening)
    if _counts(enrolment, op, event) and _take(work, enrolment, op, event):
        return
    waiting = enrolment.waiting
    if waiting is not None and happening.at <= waiting.due:
        look_at_conditions(work, enrolment, op, happening.at)
