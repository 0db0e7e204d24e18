"""What a happening does: memory, receipts, goals and exits, those who wait for it, new entries; then steps."""

from models.customer import Enrolment
from pipeline.engine import entering, exits, looks, settling, tracking, waits
from pipeline.engine.memory import remember
from pipeline.engine.steps import run
from pipeline.engine.work import Happening, Work


def act(work: Work, happening: Happening) -> None:
    """Let everything look at a happening, and do the steps that it made ready."""
    look(work, happening)
    run_ready(work)


def look(work: Work, happening: Happening) -> None:
    """Let everything look at a happening; the steps of those who may go on are not done yet."""
    remember(work, happening)
    if work.enrolments:
        settling.settle(work, happening)
        exits.look(work, happening)
        exits.look_at_conditions(work, happening)
        waits.wake(work, happening)
    entering.consider(work, happening)


def run_ready(work: Work) -> None:
    """Let the enrolments that may go on do their steps: by priority, scenario and id.

    What steps wrote to the customer moves segments, levels and scores, which are looked at before anybody goes on.
    After the last step come the conditions that read what scenarios did.
    """
    while work.ready or work.upcoming or work.touched or work.stirred:
        if work.touched:
            for happening in tracking.after_steps(work):
                look(work, happening)
            continue
        if not work.ready and not work.upcoming:
            work.stirred = False
            if work.plan.steered:
                looks.look_around(work)
            continue
        entering.admit(work)
        waiting = [enrolment for enrolment in work.enrolments if enrolment.id in work.ready]
        work.ready = []
        for enrolment in sorted(waiting, key=lambda one: _rank(work, one)):
            run(work, enrolment.id)


def _rank(work: Work, enrolment: Enrolment) -> tuple[int, str, str]:
    scenario = work.scenario_of(enrolment)
    return (-(scenario.priority if scenario else 0), enrolment.scenario, enrolment.id)
