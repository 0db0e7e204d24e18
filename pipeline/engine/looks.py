"""When time alone may turn a condition under which somebody waits: an exit, or an alternative of a `wait_for`.

Each open enrolment keeps the first such moment beside its due time (`Waiting.look`). It is set anew after every input
and every timer, for they may move it, and fires as any timer does: what has turned acts, as of that moment. Time turns
nothing else: what conditions read of events is looked at when these come.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from models.customer import NEVER, Enrolment, Waiting
from pipeline.engine.ending import unsettled
from pipeline.engine.env import Expr
from pipeline.engine.exits import exit_condition, leave
from pipeline.engine.plan import Scenario, WaitFor
from pipeline.engine.waits import look_at_conditions
from pipeline.engine.work import Work


def due_of(waiting: Waiting) -> int:
    """Return when an enrolment's timer fires: at the end of its wait, or before to look at conditions (UTC ms)."""
    return waiting.due if waiting.due < waiting.look else waiting.look


def set_looks(work: Work) -> None:
    """Set when each enrolment is to be looked at for time alone."""
    for enrolment in work.enrolments:
        scenario, waiting = work.scenario_of(enrolment), enrolment.waiting
        if scenario is None or waiting is None or not scenario.timed:
            continue
        look = _next(work, scenario, enrolment)
        # At its due time everything is looked at anyway.
        look = look if look < waiting.due else NEVER
        if look != waiting.look:
            work.put(replace(enrolment, waiting=replace(waiting, look=look)))


def _next(work: Work, scenario: Scenario, enrolment: Enrolment) -> int:
    env = work.env(enrolment)
    changes = [one.changes(env) for one in _conditions(scenario, enrolment) if one.changes is not None]
    return min(changes, default=NEVER)


def _conditions(scenario: Scenario, enrolment: Enrolment) -> Iterator[Expr]:
    """Yield the conditions that act on an enrolment where it stands."""
    if enrolment.closing and not unsettled(enrolment):
        return
    yield from (rule.when for rule in scenario.conditions if rule.when is not None)
    op = scenario.program[enrolment.at_step]
    if isinstance(op, WaitFor) and not enrolment.closing and not enrolment.held_out:
        yield from (one.when for one in op.alternatives if one.when is not None)


def look_again(work: Work, scenario: Scenario, enrolment: Enrolment, at: int) -> None:
    """Let what time has turned by a moment (UTC ms) act: an exit, else an alternative that is waited for."""
    reason = exit_condition(work, scenario, enrolment, only_changed=True)
    if reason is not None:
        leave(work, enrolment, at, reason)
        return
    op = scenario.program[enrolment.at_step]
    if isinstance(op, WaitFor) and not enrolment.closing and not enrolment.held_out:
        look_at_conditions(work, enrolment, op, at)


def look_around(work: Work) -> None:
    """Look at the conditions that read what scenarios do, after some have done something."""
    for enrolment in work.enrolments:
        scenario = work.scenario_of(enrolment)
        if scenario is None or not scenario.steered or enrolment.waiting is None:
            continue
        if not enrolment.closing or unsettled(enrolment):
            look_again(work, scenario, enrolment, max(work.now, enrolment.entry.at))
