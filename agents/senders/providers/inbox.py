"""The channel `web`: a message is kept in the inbox that the store's page reads."""

from pipeline.sending.inbox import InboxStore, item_of
from pipeline.sending.outcome import Message, Outcome


class Inbox:
    """Keeps messages in a store; the same command is the same message."""

    name = "inbox"
    idempotent = True
    key_holds_ms = 0
    rate: float | None = None
    needs_address = False
    at_once = 1

    def __init__(self, store: InboxStore):
        self._store = store

    async def send(self, message: Message) -> Outcome:
        """Keep a message; a full disk ends the run, as it would with any record (it is no fault of the message)."""
        if not await self._store.keep(item_of(message)):
            return Outcome("rejected", "nothing is kept of this customer any more")
        return Outcome("accepted", provider_id=message.command)

    async def close(self) -> None:
        """Nothing is open."""
