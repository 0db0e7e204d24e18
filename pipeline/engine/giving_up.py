"""What becomes of timers whose step raises: their enrolments end, so that the customer can go on."""

from models.customer import Customer, Ended, Enrolment
from pipeline.engine.ending import begun_by, cancel_unsent
from pipeline.engine.looks import due_of
from pipeline.engine.plan import Plan
from pipeline.engine.transition import Transition
from pipeline.engine.work import Work


def give_up(customer: Customer, watermark: int, plan: Plan, reason: str) -> Transition:
    """End every enrolment with a timer due before `watermark` (UTC ms), with a decision `failed` and its cause.

    No expression is evaluated, and the kept entry event of such an enrolment does not enter. What is unsettled of it is
    cancelled, and `again` counts from the timer that failed.
    """
    work = Work(customer, plan, watermark)
    work.activated = plan.pass_name
    for enrolment in customer.enrolments:
        waiting = enrolment.waiting
        if waiting is None or due_of(waiting) >= watermark:
            continue
        work.move_now(due_of(waiting))
        work.decide("failed", reason, enrolment)
        if not enrolment.closing:
            cancel_unsent(work, enrolment, "failed")
            _note_end(work, enrolment, due_of(waiting))
        work.drop(enrolment.id)
    return work.transition()


def _note_end(work: Work, enrolment: Enrolment, at: int) -> None:
    others = [old for old in work.ended if (old.scenario, old.key) != (enrolment.scenario, enrolment.key)]
    new = Ended(scenario=enrolment.scenario, key=enrolment.key, at=at, started_by=begun_by(enrolment))
    work.ended = (*others, new)
