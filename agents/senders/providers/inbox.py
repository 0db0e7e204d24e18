"""The channel `web`: a message is kept in the inbox that the store's page reads."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from aiokafka.errors import KafkaError

from models.inbox import InboxItem
from pipeline.sending.inbox import item_of
from pipeline.sending.outcome import Message, Outcome


class Keeper(Protocol):
    """Where messages are kept."""

    async def keep(self, item: InboxItem) -> bool:
        """Keep a message, durably; False where its customer is forgotten."""


async def _nothing() -> None:
    """Nothing is open."""


class Inbox:
    """Keeps messages in a store; the same command is the same message."""

    name = "inbox"
    idempotent = True
    key_holds_ms = 0
    rate: float | None = None
    needs_address = False
    at_once = 100

    def __init__(self, store: Keeper, stop: Callable[[], Awaitable[None]] = _nothing):
        self._store = store
        self._stop = stop

    async def send(self, message: Message) -> Outcome:
        """Keep a message; a full disk ends the run, as it would with any record (it is no fault of the message)."""
        try:
            kept = await self._store.keep(item_of(message))
        except (KafkaError, OSError) as error:
            # It may stand there all the same; said again under the same key it is one message.
            return Outcome("unknown", type(error).__name__, trouble=True)
        if not kept:
            return Outcome("rejected", "nothing is kept of this customer any more")
        return Outcome("accepted", provider_id=message.command)

    async def close(self) -> None:
        """Let go."""
        await self._stop()
