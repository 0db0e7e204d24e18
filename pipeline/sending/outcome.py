"""What a provider says of one message."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Outcome:
    """One outcome: `state` is accepted, retry (after `after_s`), rejected or unknown; `provider_id` names it there."""

    state: str
    reason: str = ""
    provider_id: str = ""
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Message:
    """A rendered message: what a provider sends."""

    command: str
    channel: str
    address: str | None
    subject: str
    text: str
    html: str
    sender: str
    at: int
    marketing: bool
    reply_to: str | None = None
    unsubscribe_url: str | None = None


class Provider(Protocol):
    """Carries out one message; knows no rule of the business. `idempotent`: it takes the command id as a key."""

    name: str
    idempotent: bool

    async def send(self, message: Message) -> Outcome:
        """Send a message and say what came of it; never raises for what the other side does."""

    async def close(self) -> None:
        """Give back connections."""
