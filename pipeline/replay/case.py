"""One decision as its cause is looked for: what was in force and known at its time, and how events are named."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from models.decision import Decision
from models.event import Event
from pipeline.engine.plan import Plan, Scenario, Send
from pipeline.replay.records import Known, Records, Seen
from pipeline.replay.shown import moment


class Cause(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why, in a sentence, and the facts that it rests on: times in ISO 8601."""

    text: str
    facts: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Case:
    """One decision and what was in force and known at its time."""

    decision: Decision
    look: Callable[[], Known]
    records: Records
    plan: Plan | None
    scenario: Scenario | None

    @property
    def known(self) -> Known:
        """Return what was known of the customer then: put together only for the reasons that rest on it."""
        return self.look()

    @property
    def op(self) -> Send | None:
        """Return the send that the decision is about."""
        program = self.scenario.program if self.scenario is not None else ()
        return next((op for op in program if isinstance(op, Send) and op.name == self.decision.step), None)


def place_of(event: Event) -> str:
    """Return where an event was read: source/partition/offset."""
    at = event.position
    return f"{at.source}/{at.partition}/{at.offset}"


def named(seen: Seen | None, name: str) -> str:
    """Return an event in words: type, time, and where it was read."""
    if seen is None:
        return f"event {name}"
    return f"{seen.event.type} of {moment(seen.event.at)} ({place_of(seen.event)})"


def percent(share: int) -> str:
    """Return a share in 1/10000 as a percentage."""
    return f"{share / 100:.2f}%"
