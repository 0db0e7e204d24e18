"""Backfill: an enrolment that history would have begun is taken in at the place where it would stand.

What stands in the event's `enrolment` was worked out over the log up to the activation of its scenario (see
`pipeline.replay.backfill`). Events that came since then were seen live: they are looked back at, as after an edit. No
message that was due before now is sent. Whoever is inside already, has been since, or would not be let in, is not.
"""

import msgspec
from msgspec.structs import replace

from models.customer import Enrolment
from models.event import Event
from pipeline.engine.acting import run_ready
from pipeline.engine.entering import make_room, refusal, way_in
from pipeline.engine.exits import goal_of_memory
from pipeline.engine.plan import Scenario, Wait, WaitFor
from pipeline.engine.waits import begin_wait_for, restarted_by_memory
from pipeline.engine.work import Work


def take_in(work: Work, event: Event) -> None:
    """Take in the enrolment of an `enrolment_backfilled` event, or decide why not."""
    held = msgspec.convert(event.data["enrolment"], Enrolment)
    if not _is_the_same(work, held, event):
        work.decide("not_entered", "unknown", event=event.id)
        work.gone = not work.before.recent
        return
    scenario = work.plan.live.get(held.scenario)
    refused = "version_changed"
    if scenario is not None and scenario.version == held.version:
        refused = _refusal(work, scenario, held) or ""
    if refused or scenario is None:
        work.decide("not_entered", refused, held, event=held.entry.event)
        return
    make_room(work, scenario)
    kept = replace(held, sent=(), live_from=work.now)
    work.enrolments = (*work.enrolments, kept)
    work.decide("entered", "backfill", kept, event=held.entry.event)
    if scenario.goal is not None:
        work.put(goal_of_memory(work, scenario.goal, kept))
    _stand(work, scenario, kept.id)
    run_ready(work)


def _is_the_same(work: Work, held: Enrolment, event: Event) -> bool:
    """Say whether a customer has not been forgotten since the log was read: nothing may bring that back.

    Who was, is unknown now, or is known by what they did since.
    """
    then, now = event.data.get("first_seen"), work.profile.first_seen
    if then is None:
        return held.entry.event in work.before.recent
    return now is not None and now <= then


def _refusal(work: Work, scenario: Scenario, held: Enrolment) -> str | None:
    mine = [one for one in work.enrolments if one.scenario == scenario.name and one.key == held.key]
    if any(not one.closing for one in mine):
        return "inside"
    enter = way_in(scenario, held.entry)
    return "version_changed" if enter is None else refusal(work, scenario, enter.again, held)


def _stand(work: Work, scenario: Scenario, name: str) -> None:
    """Let what was seen live since then restart the wait, or satisfy it."""
    enrolment = work.enrolment(name)
    assert enrolment is not None
    match scenario.program[enrolment.at_step]:
        case Wait() as op:
            work.put(restarted_by_memory(work, enrolment, op))
        case WaitFor() as op:
            begin_wait_for(work, enrolment, op)
    if enrolment.waiting is None:
        work.ready.append(name)
