"""What a provider says of one message."""

from dataclasses import dataclass
from typing import Any, Protocol

# The name of the provider that keeps messages on this machine.
OUTBOX = "outbox"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One outcome: `state` is accepted, retry (after `after_s`), rejected or unknown; `provider_id` names it there.

    `trouble`: the provider itself is in trouble, not this message: many of them in a row open the breaker.
    `permanent`: a rejected address that will take nothing later either; `stopped`: its owner has said stop to the
    sender, and may take it back. `repeatable` False: an unknown one that even a
    key makes no sense of.
    """

    state: str
    reason: str = ""
    provider_id: str = ""
    after_s: float = 0.0
    trouble: bool = False
    permanent: bool = False
    repeatable: bool = True
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """A rendered message: what a provider sends.

    Email has subject, text and html; sms a text; push a `payload` with title and body, which are subject and text
    too; web and webhook a payload. `at` and `valid_until` are UTC milliseconds.

    `reference`: what the provider is to hand back with all that it reports of the message, to `collector_url`; both
    are empty without a collector.
    `catalogue`: the version of the catalogue that its goods were taken from, "" where it has none.
    `call_by`: after this time (ticks of `pipeline.sending.clock`) it must be checked anew before it is handed over.
    """

    command: str
    channel: str
    address: str | None
    at: int
    marketing: bool
    subject: str = ""
    text: str = ""
    html: str = ""
    sender: str = ""
    reply_to: str | None = None
    unsubscribe_url: str | None = None
    payload: dict[str, Any] | None = None
    customer: str = ""
    scenario: str = ""
    step: str = ""
    valid_until: int = 0
    call_by: int | None = None
    reference: str = ""
    collector_url: str = ""
    catalogue: str = ""


class Provider(Protocol):
    """Carries out one message; knows no rule of the business.

    `idempotent`: it takes the command id as a key, so that the same command twice is one message; `key_holds_ms`: for
    so long (0: for ever). `needs_address`: without one there is nobody to send to. `at_once`: how many calls it takes
    at the same time; `rate`: how many a second, None for no limit.
    """

    name: str
    idempotent: bool
    key_holds_ms: int
    rate: float | None
    needs_address: bool
    at_once: int

    async def send(self, message: Message) -> Outcome:
        """Send a message and say what came of it; never raises for what the other side does."""

    async def close(self) -> None:
        """Give back connections."""
