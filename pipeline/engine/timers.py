"""Timers are data: each enrolment's `waiting` says when it is due. They fire in a total order."""

from msgspec.structs import replace

from models.customer import NEVER, Customer, Enrolment
from pipeline.engine import looks, scheduled
from pipeline.engine.acting import run_ready
from pipeline.engine.ending import end, expire
from pipeline.engine.exits import exit_condition
from pipeline.engine.identity import forgotten_at
from pipeline.engine.plan import Scenario, Send, Until, Wait, WaitFor
from pipeline.engine.trail import with_wait
from pipeline.engine.waits import time_out
from pipeline.engine.work import Work

# More due timers of one customer in one input than this is a circle in a program.
FIRED_MAX = 10_000


def next_due(customer: Customer) -> int | None:
    """Return when the first timer is due (UTC ms), None without one."""
    first = scheduled.due_of(customer.tracked)
    if not customer.enrolments:
        forgotten = forgotten_at(customer.id, customer.now, customer.identity)
        first = first if forgotten is None else min(first, forgotten)
    for enrolment in customer.enrolments:
        if enrolment.waiting is not None:
            first = min(first, looks.due_of(enrolment.waiting))
    return None if first >= NEVER else first


def _order(work: Work, enrolment: Enrolment) -> tuple[int, int, str, str]:
    assert enrolment.waiting is not None
    scenario = work.scenario_of(enrolment)
    priority = scenario.priority if scenario is not None else 0
    return (looks.due_of(enrolment.waiting), -priority, enrolment.scenario, enrolment.id)


def fire(work: Work) -> None:
    """Fire every timer that is due strictly before the watermark: at the same millisecond the event wins.

    The last of all forgets a visitor of whom nothing is open: `work.gone`.
    """
    for _ in range(FIRED_MAX):
        if work.plan.timed:
            looks.set_looks(work)
        first = _first_due(work)
        tracked = scheduled.due_of(work.tracked)
        if tracked < work.watermark and (first is None or tracked <= _due(first)) and not _forgotten_by(work, tracked):
            scheduled.fire(work)
        elif first is not None:
            _fire_one(work, first)
            run_ready(work)
        else:
            work.gone = _forgotten_by(work, work.watermark - 1)
            return
    raise RuntimeError(f"more than {FIRED_MAX} timers of one customer in one input")


def _due(enrolment: Enrolment) -> int:
    return NEVER if enrolment.waiting is None else looks.due_of(enrolment.waiting)


def _first_due(work: Work) -> Enrolment | None:
    watermark = work.watermark
    due = [one for one in work.enrolments if one.waiting is not None and looks.due_of(one.waiting) < watermark]
    if not due:
        return None
    return min(due, key=lambda enrolment: _order(work, enrolment))


def _forgotten_by(work: Work, at: int) -> bool:
    """Say whether a visitor of whom nothing is open is forgotten by a time (UTC ms)."""
    if work.enrolments:
        return False
    due = forgotten_at(work.id, work.now, work.identity)
    return due is not None and due <= at


def _fire_one(work: Work, enrolment: Enrolment) -> None:
    waiting = enrolment.waiting
    assert waiting is not None
    work.move_now(looks.due_of(waiting))
    scenario = work.scenario_of(enrolment)
    if waiting.look < waiting.due and scenario is not None:
        looks.look_again(work, scenario, enrolment, waiting.look)
        return
    if enrolment.closing:
        expire(work, enrolment, waiting.due)
        return
    if scenario is None:
        end(work, enrolment, waiting.due, "exited", "version_missing", cancel=True)
        return
    if enrolment.held_out:
        end(work, enrolment, waiting.due, "completed", "held_out", cancel=False)
        return
    # Time alone may have made a condition true; nothing else changed since it was last looked at.
    reason = exit_condition(work, scenario, enrolment, only_changed=True)
    if reason is not None:
        end(work, enrolment, waiting.due, "exited", reason, cancel=True)
        return
    _go_on(work, scenario, enrolment, waiting.due)


def _go_on(work: Work, scenario: Scenario, enrolment: Enrolment, due: int) -> None:
    op = scenario.program[enrolment.at_step]
    match op:
        case Wait() | Until():
            trail = with_wait(enrolment)
            kept = replace(enrolment, waiting=None, clock=due, at_step=op.next, trail=trail)
        case WaitFor():
            kept = time_out(work, enrolment, op, due)
        case Send():
            # A send that waited for a place, or for the end of quiet hours: all its checks come again.
            kept = replace(enrolment, waiting=None, clock=due)
        case _:
            raise RuntimeError(f"{enrolment.id}: a timer at a step that does not wait")
    work.put(kept)
    work.ready.append(kept.id)
