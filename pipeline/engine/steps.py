"""The interpreter of a scenario's program: an enrolment runs until it waits or ends."""

from msgspec.structs import replace

from models.customer import Enrolment, Waiting
from pipeline.engine.chances import path_of
from pipeline.engine.ending import end
from pipeline.engine.entering import start
from pipeline.engine.env import Missing
from pipeline.engine.plan import (
    AddScore,
    Branch,
    Done,
    Exit,
    Scenario,
    Send,
    SetAttributes,
    Split,
    Start,
    Until,
    Wait,
    WaitFor,
)
from pipeline.engine.sending import send
from pipeline.engine.trail import WROTE, with_step, with_wait
from pipeline.engine.until import begin_until
from pipeline.engine.waits import begin_wait, begin_wait_for
from pipeline.engine.work import Work
from pipeline.engine.writing import add_score, set_attributes

# A program without a wait in a circle cannot be compiled; this bound makes sure of it.
OPS_MAX = 1_000


def run(work: Work, name: str) -> None:
    """Let an enrolment do its steps until it waits or ends."""
    for _ in range(OPS_MAX):
        enrolment = work.enrolment(name)
        if enrolment is None or enrolment.closing or enrolment.waiting is not None:
            return
        scenario = work.scenario_of(enrolment)
        if scenario is None:
            end(work, enrolment, work.now, "exited", "version_missing", cancel=True)
        elif enrolment.held_out:
            _sit_out(work, scenario, enrolment)
        else:
            _do(work, scenario, enrolment)
    raise RuntimeError(f"{name}: more than {OPS_MAX} steps without a wait")


def _sit_out(work: Work, scenario: Scenario, enrolment: Enrolment) -> None:
    """The held-out do no step: they stay for the goal's window, to compare with, and end."""
    if scenario.goal is None:
        end(work, enrolment, enrolment.clock, "completed", "held_out", cancel=False)
        return
    since = enrolment.clock
    work.put(replace(enrolment, waiting=Waiting(since=since, due=since + scenario.goal.within_ms)))


def _do(work: Work, scenario: Scenario, enrolment: Enrolment) -> None:
    op = scenario.program[enrolment.at_step]
    match op:
        case Wait():
            begin_wait(work, enrolment, op)
        case Until():
            begin_until(work, enrolment, op)
        case WaitFor():
            begin_wait_for(work, enrolment, op)
        case Send():
            send(work, scenario, enrolment, op)
        case Branch():
            _branch(work, enrolment, op)
        case Split():
            _split(work, enrolment, op)
        case SetAttributes():
            set_attributes(work, enrolment, op)
        case AddScore():
            add_score(work, enrolment, op)
        case Start():
            work.put(replace(enrolment, at_step=op.next, trail=with_wait(enrolment, WROTE)))
            start(work, enrolment, op.scenario)
        case Exit():
            # The scenario's own end, as the last step is: what is out may arrive.
            end(work, enrolment, enrolment.clock, "exited", op.reason, cancel=False)
        case Done():
            end(work, enrolment, enrolment.clock, "completed", "last step", cancel=False)


def _branch(work: Work, enrolment: Enrolment, op: Branch) -> None:
    env = work.env(enrolment)
    goto, took, number = op.next, "none", 0
    missing: list[int] = []
    for index, (condition, target) in enumerate(op.arms, 1):
        try:
            held = condition is None or condition.call(env) is True
        except Missing:
            # It does not hold, and the decision says why: most often a misspelt or absent field.
            missing.append(index)
            continue
        if held:
            goto, took, number = target, condition.source if condition else "otherwise", index
            break
    detail = {**({"arm": number} if number else {}), **({"missing": missing} if missing else {})}
    work.decide("branched", took, enrolment, step=op.label, detail=detail)
    work.put(replace(enrolment, at_step=goto))


def _split(work: Work, enrolment: Enrolment, op: Split) -> None:
    path, goto = path_of(work.plan, work.id, enrolment.scenario, op)
    work.decide("branched", path, enrolment, step=op.name)
    paths = {**enrolment.paths, op.name: path}
    work.put(replace(enrolment, at_step=goto, paths=paths, trail=with_step(enrolment, op.name)))
