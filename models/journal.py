"""The journal's messages: bundles of events, ticks and control records, in the order in which they act."""

import msgspec

from models.event import Event


class Tick(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="tick"):
    """Source partition `source[partition]` has been forwarded up to a time.

    Covers the offsets `first <= offset < next` of the epoch, which gave `events` events to this journal partition;
    no event of that source partition with `arrived_at < before` (UTC milliseconds) is still to come;
    `upto` is that time before the source's delay is taken off.
    A `first` beyond what the reader has seen means missing events.
    """

    source: str
    partition: int = 0
    epoch: int = 0
    first: int
    next: int
    events: int = 0
    before: int
    upto: int = 0


class PlanActivated(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="plan"):
    """From here on this plan is live; `at` (UTC milliseconds) is the `now` of every customer's activation pass."""

    id: str
    plan: str
    at: int


class ScenarioSwitched(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="switch"):
    """An operator paused, resumed or stopped a scenario ("*" for all)."""

    id: str
    scenario: str
    state: str
    at: int


class SourceChanged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="source"):
    """A source partition joins, is retired, or starts a new epoch (`change`: join, retire, reset)."""

    id: str
    change: str
    source: str
    partition: int = 0
    epoch: int = 0
    first: int = 0
    feedback: bool = False


class StateVersionSet(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="state_version"):
    """From here on customers are written in this state version."""

    id: str
    version: int


Control = PlanActivated | ScenarioSwitched | SourceChanged | StateVersionSet
Entry = Event | Tick | PlanActivated | ScenarioSwitched | SourceChanged | StateVersionSet


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """The value of one journal message: at most 500 events or 512 KiB, all of one journal partition."""

    writer: str
    entries: list[Entry]


class JournalMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle as the reader gets it: with its journal offset and the broker's append time (UTC ms)."""

    offset: int
    appended_at: int
    bundle: Bundle
