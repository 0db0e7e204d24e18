"""The checks of a send, in their order, and the command that it emits.

SEND_CHECKS: paused, before activation, address and consent (they pick the channel), limit and caps. The first obstacle
is the reason of the decision; a send that is passed over goes on to the next step.
"""

from typing import Any

from msgspec.structs import replace

from models.command import Cause, Command
from models.customer import Enrolment, Place, Sent, Waiting
from models.ids import command_id
from pipeline.engine.ending import end
from pipeline.engine.env import Missing
from pipeline.engine.person import address_of, consents_to, value_of
from pipeline.engine.plan import Cap, Scenario, Send
from pipeline.engine.work import Work

PLACES_MAX = 64


def send(work: Work, scenario: Scenario, enrolment: Enrolment, op: Send) -> None:
    """Emit the command of a step, or record why not."""
    if any(sent.step == op.name for sent in enrolment.sent):
        _pass_over(work, enrolment, op, "already_sent")
        return
    if work.plan.switches.get(scenario.name) or work.plan.switches.get("*"):
        _pass_over(work, enrolment, op, "paused")
        return
    if enrolment.clock < work.plan.activated.get(scenario.name, 0):
        _pass_over(work, enrolment, op, "before_activation")
        return
    channel, refused = _channel(work, op)
    if channel is None:
        _pass_over(work, enrolment, op, refused)
        return
    capped = _capped(work, scenario, op, channel)
    if capped is not None:
        _when_capped(work, enrolment, op, *capped)
        return
    _emit(work, scenario, enrolment, op, channel)


def _pass_over(work: Work, enrolment: Enrolment, op: Send, reason: str) -> None:
    work.decide("suppressed", reason, enrolment, step=op.name)
    work.put(replace(enrolment, at_step=op.next))


def _channel(work: Work, op: Send) -> tuple[str | None, str]:
    """Return the first channel with an address and consent, or None and the first obstacle."""
    refused = ""
    for channel in op.channels:
        if work.plan.settings.require_address and address_of(work.cold, channel) is None:
            refused = refused or "no_address"
        elif not consents_to(work.cold, channel, op.purpose, work.plan.settings):
            refused = refused or "no_consent"
        else:
            return channel, ""
    return None, refused


def _capped(work: Work, scenario: Scenario, op: Send, channel: str) -> tuple[str, int] | None:
    """Return the limit or cap that is full and when its oldest place falls free (UTC ms)."""
    limit = scenario.limit
    if limit is not None:
        taken = [place.at for place in work.places if place.scenario == scenario.name]
        free = _free_at(taken, limit.at_most, limit.per_ms, work.now)
        if free is not None:
            return "limit", free
    if op.purpose != "marketing":
        return None
    for cap in work.plan.settings.caps:
        if cap.channel not in {None, channel} or cap.purpose not in {None, op.purpose}:
            continue
        taken = [place.at for place in work.places if _counts(cap, place)]
        kept_free = cap.free_count if cap.free_above is not None and scenario.priority < cap.free_above else 0
        free = _free_at(taken, cap.at_most - kept_free, cap.per_ms, work.now)
        if free is not None:
            return "capped", free
    return None


def _counts(cap: Cap, place: Place) -> bool:
    return cap.channel in {None, place.channel} and cap.purpose in {None, place.purpose}


def _free_at(taken: list[int], at_most: int, per_ms: int, now: int) -> int | None:
    """Return None while there is room in the rolling window, else when there will be."""
    within = sorted(at for at in taken if at > now - per_ms)
    if len(within) < at_most:
        return None
    return within[len(within) - max(at_most, 1)] + per_ms


def _when_capped(work: Work, enrolment: Enrolment, op: Send, reason: str, free_at: int) -> None:
    if op.if_capped == "wait":
        work.decide("waiting", reason, enrolment, step=op.name)
        # Fires strictly after `free_at` has passed, when the oldest place is out of the window.
        work.put(replace(enrolment, waiting=Waiting(since=enrolment.clock, due=free_at)))
    elif op.if_capped == "exit":
        work.decide("suppressed", reason, enrolment, step=op.name)
        end(work, enrolment, enrolment.clock, "exited", reason)
    else:
        _pass_over(work, enrolment, op, reason)


def _data(work: Work, enrolment: Enrolment, op: Send) -> tuple[dict[str, Any], list[str]]:
    """Evaluate `with`; a value that is missing is left out and named."""
    data, missing = {}, []
    env = work.env(enrolment)
    for name, expression in op.data:
        try:
            data[name] = expression.call(env)
        except Missing:
            missing.append(name)
    return data, missing


def _emit(work: Work, scenario: Scenario, enrolment: Enrolment, op: Send, channel: str) -> None:
    data, missing = _data(work, enrolment, op)
    entry = enrolment.entry
    command = Command(
        id=command_id(scenario.name, entry.event, op.name),
        scenario=scenario.name,
        step=op.name,
        customer=work.id,
        channel=channel,
        purpose=op.purpose,
        template=op.template,
        data=data,
        due_at=enrolment.clock,
        emitted_at=work.now,
        # The enrolment's clock, not `now`: reading something else early moves no deadline.
        valid_until=enrolment.clock + op.valid_for_ms,
        reason=Cause(event_id=entry.event, source_topic=entry.source, partition=entry.partition, offset=entry.offset),
        enrolment=enrolment.id,
        version=enrolment.version,
        plan=work.plan.hash,
        address=address_of(work.cold, channel) or None,
        language=value_of(work.cold, "language") or work.plan.settings.language,
        require=list(op.require),
        repeat_unknown=op.repeat_unknown,
        depth=entry.depth + 1,
    )
    work.commands.append(command)
    detail = {"missing": missing} if missing else {}
    work.decide("sent", "due", enrolment, step=op.name, command=command.id, detail=detail)
    _hold_place(work, scenario, command)
    sent = Sent(step=op.name, command=command.id, at=work.now, channel=channel, valid_until=command.valid_until)
    work.put(replace(enrolment, at_step=op.next, sent=(*enrolment.sent, sent)))


def _hold_place(work: Work, scenario: Scenario, command: Command) -> None:
    if scenario.limit is None and command.purpose != "marketing":
        return
    place = Place(
        command=command.id,
        scenario=scenario.name,
        step=command.step,
        channel=command.channel,
        purpose=command.purpose,
        at=work.now,
        priority=scenario.priority,
    )
    recent = [old for old in work.places if old.at > work.now - work.plan.places_ms]
    work.places = (*recent, place)[-PLACES_MAX:]
