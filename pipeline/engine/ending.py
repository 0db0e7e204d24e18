"""How enrolments end: by an exit, a last step, or a bound; what is unsettled then is cancelled or awaited."""

from msgspec.structs import replace

from models.command import Cancel
from models.customer import Ended, Enrolment, Sent, Waiting
from models.ids import enrolment_id
from pipeline.engine.work import Work

ENDED_OF_A_SCENARIO = 50
CANCELLED = "cancelled, not confirmed"


def unsettled(enrolment: Enrolment) -> list[Sent]:
    """Return the commands whose end is not known yet."""
    return [sent for sent in enrolment.sent if not sent.settled]


def _note_end(work: Work, enrolment: Enrolment, at: int) -> None:
    new = Ended(scenario=enrolment.scenario, key=enrolment.key, at=at)
    same = [
        old for old in work.ended if old.scenario == new.scenario and old.key != new.key
    ][-(ENDED_OF_A_SCENARIO - 1) :]  # fmt: skip
    others = [old for old in work.ended if old.scenario != new.scenario]
    work.ended = (*others, *same, new)


def cancel_unsent(work: Work, enrolment: Enrolment, reason: str) -> Enrolment:
    """Put a cancel for every unsettled command; the enrolment remembers it until the receipt says what came of it."""
    for sent in unsettled(enrolment):
        work.cancels.append(
            Cancel(command=sent.command, customer=work.id, channel=sent.channel, reason=reason, at=work.now)
        )
        work.decide("cancelled", reason, enrolment, step=sent.step, command=sent.command)
    kept = tuple(sent if sent.settled else replace(sent, settled=CANCELLED) for sent in enrolment.sent)
    return replace(enrolment, sent=kept)


def awaits(work: Work, enrolment: Enrolment) -> int | None:
    """Return until when an ended enrolment is still needed: for receipts, and for its goal."""
    times = [sent.valid_until for sent in enrolment.sent if sent.settled in {"", CANCELLED}]
    scenario = work.scenario_of(enrolment)
    if scenario and scenario.goal and enrolment.goal_at is None:
        times.append(enrolment.entry.at + scenario.goal.within_ms)
    later = [time for time in times if time >= work.now]
    return max(later, default=None)


def close_or_drop(work: Work, enrolment: Enrolment) -> None:
    """Keep an ended enrolment as *closing* while something of it is awaited, else forget it."""
    until = awaits(work, enrolment)
    if until is None:
        work.drop(enrolment.id)
        return
    since = enrolment.ended_at or work.now
    work.put(replace(enrolment, closing=True, waiting=Waiting(since=since, due=until)))


def end(work: Work, enrolment: Enrolment, at: int, outcome: str, reason: str, event: str = "") -> None:
    """End an open enrolment at a time: `exited` cancels what is unsettled, `completed` awaits it.

    An entry event that came while inside, and is later than the end, enters now, under the live plan.
    """
    from pipeline.engine.entering import enter_by_name

    work.decide(outcome, reason, enrolment, event=event)
    upcoming = enrolment.next_entry
    enrolment = replace(enrolment, ended_at=at, waiting=None, next_entry=None)
    if outcome != "completed":
        enrolment = cancel_unsent(work, enrolment, reason)
    _note_end(work, enrolment, at)
    close_or_drop(work, enrolment)
    if upcoming is not None and upcoming.at > at and enrolment_id(enrolment.scenario, upcoming.event) != enrolment.id:
        enter_by_name(work, enrolment.scenario, upcoming, enrolment.key)
