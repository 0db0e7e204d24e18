"""The checks of a send, in their order, and the command that it emits.

SEND_CHECKS: paused, before activation or backfill, held out, address and consent (they pick the channel), silence,
quiet hours (it waits until they end, then all checks come again), limit and caps. The first obstacle is the reason of
the decision; a send that is passed over goes on to the next step.

`due_at` and `valid_until` count from the enrolment's clock at the step, not from `now`: reading something else early
moves no deadline, and a command that was emitted late is not valid for longer.
"""

from typing import Any

from msgspec.structs import replace

from models.command import Cause, Command, Lookup
from models.customer import Enrolment, Sent, Waiting
from models.ids import command_id
from models.voucher import Voucher
from pipeline.engine.caps import Full, full, hold_place
from pipeline.engine.chances import is_held_out
from pipeline.engine.ending import end
from pipeline.engine.env import Missing
from pipeline.engine.person import address_of, consents_to, text_of
from pipeline.engine.plan import Scenario, Send
from pipeline.engine.quiet import own_zone, quiet_until
from pipeline.engine.tracking import count_sent
from pipeline.engine.trail import with_step
from pipeline.engine.vouchers import Issuer
from pipeline.engine.work import Work


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
    if enrolment.clock < enrolment.live_from:
        _pass_over(work, enrolment, op, "before_backfill")
        return
    if enrolment.held_out or is_held_out(work.plan, work.id, op.purpose):
        _pass_over(work, enrolment, op, "held_out")
        return
    channel, refused = _channel(work, op)
    if channel is None:
        _pass_over(work, enrolment, op, refused)
        return
    if _silenced(work, op, channel):
        _pass_over(work, enrolment, op, "silence")
        return
    quiet = quiet_until(work, op, channel, enrolment.clock)
    if quiet is not None:
        work.decide("waiting", "quiet_hours", enrolment, step=op.name)
        work.put(replace(enrolment, waiting=Waiting(since=enrolment.clock, due=quiet)))
        return
    over = full(work, scenario, op, channel)
    if over is not None:
        _when_capped(work, enrolment, op, over)
        return
    _emit(work, scenario, enrolment, op, channel)


def _silenced(work: Work, op: Send, channel: str) -> bool:
    """Say whether the store's settings keep silent towards the customer."""
    return any(
        silence.purpose == op.purpose and silence.channel in {None, channel} and silence.when.holds(work.env())
        for silence in work.plan.settings.silences
    )


def _pass_over(work: Work, enrolment: Enrolment, op: Send, reason: str) -> None:
    work.decide("suppressed", reason, enrolment, step=op.name)
    work.put(replace(enrolment, at_step=op.next, trail=with_step(enrolment, op.name)))


def _channel(work: Work, op: Send) -> tuple[str | None, str]:
    """Return the first channel with an address and consent, or None and the first obstacle."""
    refused = ""
    for channel in op.channels:
        if work.plan.settings.require_address and address_of(work.cold, channel) is None:
            refused = refused or "no_address"
        elif not consents_to(work.cold, channel, op.purpose, work.plan.settings, work.now):
            refused = refused or "no_consent"
        else:
            return channel, ""
    return None, refused


def _when_capped(work: Work, enrolment: Enrolment, op: Send, over: Full) -> None:
    if op.if_capped == "wait" and over.free_at is not None:
        work.decide("waiting", over.reason, enrolment, step=op.name)
        work.put(replace(enrolment, waiting=Waiting(since=enrolment.clock, due=over.free_at)))
    elif op.if_capped == "exit":
        work.decide("suppressed", over.reason, enrolment, step=op.name)
        end(work, enrolment, enrolment.clock, "exited", over.reason, cancel=False)
    else:
        _pass_over(work, enrolment, op, over.reason)


def _data(
    work: Work, enrolment: Enrolment, op: Send, issuer: Issuer
) -> tuple[dict[str, Any], dict[str, Lookup], list[str]]:
    """Evaluate `with`; a value that is missing is left out and named, what the catalogue has stands apart."""
    data: dict[str, Any] = {}
    lookups: dict[str, Lookup] = {}
    missing = []
    env = work.env(enrolment)
    env.issue = issuer.issue
    for name, expression in op.data:
        try:
            value = expression.call(env)
        except Missing:
            missing.append(name)
            continue
        if isinstance(value, Lookup):
            lookups[name] = value
        else:
            data[name] = value
    return data, lookups, missing


def command_of(
    work: Work, scenario: Scenario, enrolment: Enrolment, op: Send, channel: str
) -> tuple[Command, list[Voucher], list[str]]:
    """Return the command of a send as things stand, the vouchers that it names, and the values that are missing."""
    entry = enrolment.entry
    name = command_id(scenario.name, entry.event, op.name)
    issuer = Issuer(work.plan.settings.voucher_key, enrolment, work.id, op.name, name, work.now)
    data, lookups, missing = _data(work, enrolment, op, issuer)
    command = Command(
        id=name,
        scenario=scenario.name,
        step=op.name,
        customer=work.id,
        channel=channel,
        purpose=op.purpose,
        template=op.template,
        data=data,
        due_at=enrolment.clock,
        emitted_at=work.now,
        valid_until=enrolment.clock + op.valid_for_ms,
        reason=Cause(event_id=entry.event, source_topic=entry.source, partition=entry.partition, offset=entry.offset),
        enrolment=enrolment.id,
        version=enrolment.version,
        plan=work.plan.hash,
        address=address_of(work.cold, channel) or None,
        language=text_of(work.cold, "language") or work.plan.settings.language,
        require=list(op.require),
        repeat_unknown=op.repeat_unknown,
        depth=entry.depth + 1,
        lookups=lookups,
        timezone=own_zone(work, op, channel),
    )
    return command, issuer.vouchers, missing


def _emit(work: Work, scenario: Scenario, enrolment: Enrolment, op: Send, channel: str) -> None:
    command, vouchers, missing = command_of(work, scenario, enrolment, op, channel)
    work.commands.append(command)
    work.vouchers += vouchers
    detail = {"missing": missing} if missing else {}
    work.decide("sent", "due", enrolment, step=op.name, command=command.id, detail=detail)
    work.stirred = True
    hold_place(work, scenario, command)
    count_sent(work, scenario.name, op.name)
    sent = Sent(step=op.name, command=command.id, at=work.now, channel=channel, valid_until=command.valid_until)
    trail = with_step(enrolment, op.name)
    work.put(replace(enrolment, at_step=op.next, sent=(*enrolment.sent, sent), trail=trail))
