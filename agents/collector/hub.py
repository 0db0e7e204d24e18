"""What every route of the collector shares: the store, the links, where what was heard goes, and what is remembered."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import structlog

from agents import metrics
from agents.collector.limits import Gate, Remembered
from agents.collector.texts import CHANNELS
from models.settings import SettingsSpec
from pipeline.sending.hearing import Heard, Intake, IntakeError
from pipeline.sending.links import Links

if TYPE_CHECKING:
    from agents.collector.inbox import InboxDesk

log = structlog.get_logger()


@dataclass(frozen=True)
class Wishes:
    """What is known of a customer's consent to marketing: by channel, and until when all is paused (UTC ms)."""

    given: Mapping[str, bool]
    paused_until: int | None = None


class Lookup(Protocol):
    """Knows customers' consents; a collector in a cluster does not."""

    def __call__(self, customer: str) -> Wishes | None:
        """Return what is known of a customer."""


@dataclass
class Hub:
    """One collector. `base` is its public address; `channels` are those that the preference page asks about.

    `inbox` is None where the plan has no channel `web`: its routes are not there then.
    """

    links: Links
    intake: Intake
    settings: SettingsSpec = field(default_factory=SettingsSpec)
    base: str = ""
    channels: Sequence[str] = CHANNELS
    lookup: Lookup = lambda customer: None
    clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    inbox: "InboxDesk | None" = None
    gate: Gate = field(default_factory=lambda: Gate(time.monotonic))
    seen: Remembered = field(default_factory=Remembered)
    delivered: Remembered = field(default_factory=Remembered)

    async def hear(self, heard: Sequence[Heard]) -> None:
        """Hand on what was heard, and count it once it is durable."""
        await self.intake.accept(heard)
        for one in heard:
            kind = one.event["type"] if one.event else "address"
            machine = "yes" if one.event and one.event.get("machine") else "no"
            metrics.HEARD.labels(kind, machine).inc()

    async def hear_if_possible(self, heard: Heard) -> None:
        """Hand on an open or a click; one that cannot be kept is counted, and the customer goes on all the same."""
        try:
            await self.hear([heard])
        except IntakeError as error:
            kind = heard.event["type"] if heard.event else "address"
            metrics.LOST.labels(kind).inc()
            log.warning("an open or a click is lost", cause=str(error))

    def since_ms(self, command: str, rendered_at: int) -> int:
        """Return how long ago a message was delivered, as far as this process was told, else rendered."""
        return self.clock_ms() - (self.delivered.get(command) or rendered_at)
