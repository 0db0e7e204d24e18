"""The rules of an inbox: what is kept of a customer's messages, for how long, and what is shown."""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from models.inbox import InboxItem
from pipeline.sending.outcome import Message

encode_item = msgspec.json.Encoder().encode
decode_item = msgspec.json.Decoder(InboxItem).decode
Told = Callable[[InboxItem], None]


class InboxStore(Protocol):
    """Where the messages of the channel `web` are kept; what `keep` and `note` return from is durable."""

    def now(self) -> int:
        """Return the time by which messages expire (UTC ms)."""

    def of(self, customer: str) -> list[InboxItem]:
        """Return a customer's messages that are to be shown, oldest first."""

    async def keep(self, item: InboxItem) -> bool:
        """Keep a message; one that is there already stays as it is. False where its customer is forgotten."""

    async def note(self, customer: str, name: str, state: str) -> InboxItem | None:
        """Move a message to a later state and return it; None where nothing changes or there is no such message."""

    def listen(self, told: Told) -> None:
        """Tell of every message that is new or changed, from whatever thread it comes."""


def item_of(message: Message) -> InboxItem:
    """Return what the inbox keeps of a rendered message: until its command is no longer valid."""
    return InboxItem(
        id=message.command,
        customer=message.customer,
        scenario=message.scenario,
        step=message.step,
        purpose="marketing" if message.marketing else "transactional",
        at=message.at,
        until=message.valid_until,
        payload=message.payload or {},
    )


def shown(items: Sequence[InboxItem], now: int) -> list[InboxItem]:
    """Return what a page is to show, oldest first."""
    return sorted(
        (one for one in items if one.state != "dismissed" and one.until > now), key=lambda one: (one.number, one.id)
    )


def crowded_out(items: Sequence[InboxItem], now: int, most: int) -> list[InboxItem]:
    """Return what goes: all that has expired, and the oldest of what is left above `most`."""
    gone = [one for one in items if one.until <= now]
    left = sorted((one for one in items if one.until > now), key=lambda one: (one.number, one.id))
    return gone + left[: max(0, len(left) - most)]
