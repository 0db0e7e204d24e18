"""How enrolments end: by an exit, a last step, or a bound; what is unsettled then is cancelled or awaited.

An ended enrolment is *closing* while something of it is awaited: the end of a command (by its receipt, or by its
`valid_until`), or the goal (up to the end of its window). Its timer stands at the first of these times. After the last
of them it is forgotten, and a goal that comes later is not counted.
"""

from msgspec.structs import replace

from models.command import Cancel
from models.customer import Ended, Enrolment, Sent, Waiting
from models.event_types import DATE_REACHED
from pipeline.engine.work import Work

# `again` counts by value of `per`; SCENARIOS keeps the last 50.
ENDED_OF_A_SCENARIO = 50
# States of a command (beside the receipts') in which the engine leaves it.
CANCELLED = "cancelled, not confirmed"
OVERDUE = "overdue"
AWAITED = frozenset({"", CANCELLED})


def unsettled(enrolment: Enrolment) -> list[Sent]:
    """Return the commands whose end is not known yet and that nobody cancelled."""
    return [sent for sent in enrolment.sent if not sent.settled]


def begun_by(enrolment: Enrolment) -> str:
    """Return the entry event where it may come once more, to begin nothing; else the empty text.

    It may where another scenario started the enrolment, and for a date that comes again as the customer changes zones.
    """
    once = enrolment.entry.started or enrolment.entry.type == DATE_REACHED
    return enrolment.entry.event if once else ""


def _note_end(work: Work, enrolment: Enrolment, at: int) -> None:
    new = Ended(scenario=enrolment.scenario, key=enrolment.key, at=at, started_by=begun_by(enrolment))
    same = [old for old in work.ended if old.scenario == new.scenario and old.key != new.key]
    others = [old for old in work.ended if old.scenario != new.scenario]
    work.ended = (*others, *same[-(ENDED_OF_A_SCENARIO - 1) :], new)


def cancel_unsent(work: Work, enrolment: Enrolment, reason: str) -> Enrolment:
    """Put a cancel for every unsettled command; the enrolment remembers it until the receipt says what came of it."""
    for sent in unsettled(enrolment):
        work.cancels.append(
            Cancel(command=sent.command, customer=work.id, channel=sent.channel, reason=reason, at=work.now)
        )
        work.decide("cancelled", reason, enrolment, step=sent.step, command=sent.command)
    kept = tuple(sent if sent.settled else replace(sent, settled=CANCELLED) for sent in enrolment.sent)
    return replace(enrolment, sent=kept)


def _awaited_until(work: Work, enrolment: Enrolment, after: int | None) -> int | None:
    """Return the first time, later than `after`, at which something of an ended enrolment is no longer awaited."""
    times = [sent.valid_until for sent in enrolment.sent if sent.settled in AWAITED]
    scenario = work.scenario_of(enrolment)
    if scenario is not None and scenario.goal is not None and enrolment.goal_at is None:
        times.append(enrolment.entry.at + scenario.goal.within_ms)
    return min((time for time in times if after is None or time > after), default=None)


def close_or_drop(work: Work, enrolment: Enrolment, *, after: int | None = None) -> None:
    """Keep an ended enrolment as *closing* while something of it is awaited after a time (UTC ms), else forget it."""
    until = _awaited_until(work, enrolment, after)
    if until is None:
        work.drop(enrolment.id)
        return
    since = enrolment.clock if enrolment.ended_at is None else enrolment.ended_at
    work.put(replace(enrolment, closing=True, waiting=Waiting(since=since, due=until)))


def expire(work: Work, enrolment: Enrolment, at: int) -> None:
    """A closing enrolment's timer: what is unsettled and was valid until `at` counts as expired by time."""
    kept = []
    for sent in enrolment.sent:
        if sent.settled in AWAITED and sent.valid_until <= at:
            work.decide("settled", OVERDUE, enrolment, step=sent.step, command=sent.command)
            kept.append(replace(sent, settled=OVERDUE))
        else:
            kept.append(sent)
    close_or_drop(work, replace(enrolment, sent=tuple(kept)), after=at)


def end(work: Work, enrolment: Enrolment, at: int, outcome: str, reason: str, event: str = "", *, cancel: bool) -> None:
    """End an open enrolment at a time (UTC ms): `cancel` takes back what is unsettled, else it is awaited.

    An entry event that came while inside, and is later than the end, is put down to enter next, under the live plan.
    """
    work.decide(outcome, reason, enrolment, event=event)
    work.stirred = True
    upcoming = enrolment.next_entry
    enrolment = replace(enrolment, ended_at=at, waiting=None, next_entry=None)
    if cancel:
        enrolment = cancel_unsent(work, enrolment, reason)
    _note_end(work, enrolment, at)
    close_or_drop(work, enrolment)
    if upcoming is not None and upcoming.at > at:
        work.upcoming.append((enrolment.scenario, upcoming, enrolment.key))
