"""Timers are data: each enrolment's `waiting` says when it is due. They fire in a total order."""

from msgspec.structs import replace

from models.customer import NEVER, Customer, Enrolment, Waiting
from pipeline.engine.ending import awaits, end
from pipeline.engine.plan import Send, Wait, WaitFor
from pipeline.engine.steps import run
from pipeline.engine.work import Work

# More due timers of one customer in one input than this is a circle in a program.
FIRED_MAX = 10_000


def next_due(customer: Customer) -> int | None:
    """Return when the first timer is due (UTC ms), None without one."""
    dues = [enrolment.waiting.due for enrolment in customer.enrolments if enrolment.waiting is not None]
    first = min(dues, default=NEVER)
    return None if first >= NEVER else first


def _order(work: Work, enrolment: Enrolment) -> tuple[int, int, str, str]:
    assert enrolment.waiting is not None
    scenario = work.scenario_of(enrolment)
    priority = scenario.priority if scenario is not None else 0
    return (enrolment.waiting.due, -priority, enrolment.scenario, enrolment.id)


def fire(work: Work) -> None:
    """Fire every timer that is due strictly before the watermark: at the same millisecond the event wins."""
    for _ in range(FIRED_MAX):
        due = [one for one in work.enrolments if one.waiting is not None and one.waiting.due < work.watermark]
        if not due:
            return
        first = min(due, key=lambda enrolment: _order(work, enrolment))
        _fire_one(work, first)
        run_ready(work)
    raise RuntimeError(f"more than {FIRED_MAX} timers of one customer in one input")


def run_ready(work: Work) -> None:
    """Let the enrolments that may go on do their steps: by priority, scenario and id."""
    while work.ready:
        waiting = [enrolment for enrolment in work.enrolments if enrolment.id in work.ready]
        work.ready = []
        for enrolment in sorted(waiting, key=lambda one: _rank(work, one)):
            run(work, enrolment.id)


def _rank(work: Work, enrolment: Enrolment) -> tuple[int, str, str]:
    scenario = work.scenario_of(enrolment)
    return (-(scenario.priority if scenario else 0), enrolment.scenario, enrolment.id)


def _fire_one(work: Work, enrolment: Enrolment) -> None:
    waiting = enrolment.waiting
    assert waiting is not None
    work.move_now(waiting.due)
    if enrolment.closing:
        _close(work, enrolment)
        return
    scenario = work.scenario_of(enrolment)
    if scenario is None:
        end(work, enrolment, waiting.due, "exited", "version_missing")
        return
    op = scenario.program[enrolment.at_step]
    match op:
        case Wait():
            kept = replace(enrolment, waiting=None, clock=waiting.due, at_step=op.next)
        case WaitFor():
            kept = replace(enrolment, waiting=None, clock=waiting.due, at_step=op.otherwise)
        case Send():
            # A capped send that waited: its window has passed one millisecond after the due time is.
            kept = replace(enrolment, waiting=None, clock=waiting.due)
        case _:
            raise RuntimeError(f"{enrolment.id}: a timer at a step that does not wait")
    work.put(kept)
    work.ready.append(kept.id)


def _close(work: Work, enrolment: Enrolment) -> None:
    """A closing enrolment that is awaited no longer goes; what is unsettled then has passed its `valid_until`."""
    for sent in enrolment.sent:
        if not sent.settled:
            work.decide("settled", "not heard of", enrolment, step=sent.step, command=sent.command)
    until = awaits(work, replace(enrolment, sent=()))
    if until is None or until <= work.now:
        work.drop(enrolment.id)
    else:
        work.put(replace(enrolment, sent=(), waiting=Waiting(since=work.now, due=until)))
