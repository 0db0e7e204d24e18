"""What an explanation is made of: plain records, for people and for `--json`."""

from typing import Any

import msgspec

from pipeline.replay.case import Cause
from pipeline.replay.guards import Guard


class EventAt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event of the customer, with its place: `source` is name/partition/offset, `journal` the message's offset."""

    id: str
    type: str
    at: str
    arrived_at: str
    source: str
    journal: int
    repeats: int | None = None


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One decision with its cause; `guards` are the conditions of that step, where the log was replayed."""

    at: str
    outcome: str
    reason: str
    scenario: str = ""
    step: str = ""
    event: EventAt | None = None
    cause: Cause | None = None
    guards: tuple[Guard, ...] = ()


class SendStep(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one send of a passage.

    `outcome`: sent, rejected, expired, cancelled, unknown (a receipt says so), pending (none does yet), not_sent (its
    checks found an obstacle), waiting, not_reached.
    """

    step: str
    command: str
    outcome: str
    reason: str
    text: str
    at: str | None = None
    due_at: str | None = None
    plan: str = ""
    cause: Cause | None = None
    receipts: tuple[dict[str, Any], ...] = ()


class Passage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One enrolment: what began it, what became of each send, and every decision in its order."""

    scenario: str
    version: str
    enrolment: str
    plan: str = ""
    entered_at: str | None = None
    entry: EventAt | None = None
    held_out: bool = False
    ended: str = ""
    steps: tuple[SendStep, ...] = ()
    lines: tuple[Line, ...] = ()


class Never(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a live scenario did not begin: how often its entry was looked at, and the condition that failed last."""

    scenario: str
    text: str
    looked_at: int = 0
    guards: tuple[Guard, ...] = ()


class Explanation(msgspec.Struct, kw_only=True, omit_defaults=True):
    """All that the log says of one customer; `since` is from when on it can say anything, `whole` that nothing is gone.

    `deep` says that the log was replayed; `differs` that this release decides otherwise than was recorded.
    """

    customer: str
    since: str | None
    until: str | None
    whole: bool
    currency: str = "EUR"
    passages: list[Passage] = []
    not_entered: list[Line] = []
    repeated: list[EventAt] = []
    other: list[Line] = []
    never: list[Never] = []
    deep: bool = False
    differs: bool = False
