"""Steps of one customer, measured: what a step gives is encoded once, so that nothing too large is ever committed."""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from models.command import COMMAND_BYTES_MAX
from models.customer import Customer
from models.dead_letter import DeadLetter
from models.event import Event
from pipeline.engine import api
from pipeline.engine.giving_up import give_up
from pipeline.engine.plan import Plan
from pipeline.engine.transition import Transition
from pipeline.store.codec import STATE_BYTES_MAX, encode_cold, encode_hot

REASON_MAX = 200
_encode = msgspec.json.Encoder().encode


class TooLargeError(ValueError):
    """A state or a command is over its cap."""


@dataclass(slots=True)
class Stepped:
    """A transition and the customer's (hot, cold) values; None where nothing of them is kept."""

    done: Transition
    encoded: tuple[bytes, bytes] | None


def _stepped(done: Transition) -> Stepped:
    customer = done.customer
    return Stepped(done, None if customer is None else (encode_hot(customer), encode_cold(customer)))


def measured(done: Transition) -> Stepped:
    """Return a transition with its encoded customer; TooLargeError where a state or command is over its cap."""
    found = _stepped(done)
    if found.encoded is not None:
        size = len(found.encoded[0]) + len(found.encoded[1])
        if size > STATE_BYTES_MAX:
            raise TooLargeError(f"a state of {size} bytes; {STATE_BYTES_MAX} are allowed")
    for command in done.commands:
        size = len(_encode(command))
        if size > COMMAND_BYTES_MAX:
            raise TooLargeError(f"a command of {size} bytes; {COMMAND_BYTES_MAX} are allowed")
    return found


def cause(error: Exception) -> str:
    """Return an exception as a reason of a dead letter or decision."""
    return f"{type(error).__name__}: {error}"[:REASON_MAX]


def dead_letter(event: Event, reason: str) -> DeadLetter:
    """Return an event that could not be applied, with the place of its source record."""
    position = event.position
    return DeadLetter(
        stage="engine",
        reason=reason,
        source=position.source,
        partition=position.partition,
        epoch=position.epoch,
        offset=position.offset,
        index=position.index,
        value=_encode(event),
        at=event.arrived_at,
    )


def fire_apart(customer: Customer, watermark: int, plan: Plan, activated_at: int) -> Iterator[Stepped]:
    """Do the activation pass that is owed and fire timers one due time after another, so that what fails ends alone.

    The order is that of `api.fire_timers`; it costs a step for each due time, and is taken only after a failure.
    """
    known: Customer | None = customer
    while known is not None:
        due = api.next_due(known)
        if known.activated == plan.pass_name and (due is None or due >= watermark):
            return
        until = watermark if due is None else min(due + 1, watermark)
        try:
            found = measured(api.fire_timers(known, until, plan, activated_at=activated_at))
        except Exception as error:  # noqa: BLE001 - whatever a step raises is that enrolment's fault alone
            found = _stepped(give_up(known, until, plan, cause(error)))
        yield found
        known = found.done.customer
