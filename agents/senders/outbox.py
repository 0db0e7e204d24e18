"""The outbox folder: each message becomes a file; nothing leaves the machine."""

import os
from pathlib import Path

from pipeline.errors import RunError
from pipeline.sending.mime import to_mime
from pipeline.sending.outcome import Message, Outcome


class Outbox:
    """Writes `COMMAND.eml` files; the command id is the file's name, so the same command is the same file."""

    name = "outbox"
    idempotent = True
    key_holds_ms = 0
    rate: float | None = None
    needs_address = False
    at_once = 1

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    async def send(self, message: Message) -> Outcome:
        """Write a message, whole or not at all; RunError where the disk takes none (it is no fault of the message)."""
        path = self.folder / f"{message.command}.eml"
        half = self.folder / f".{message.command}.part"
        content = to_mime(message).as_bytes()
        try:
            half.write_bytes(content)
            os.replace(half, path)
        except OSError as error:
            raise RunError(
                f"{self.folder}: a message cannot be written ({error}). Where the disk is full, make space; then run"
                " again: it goes on with this message, nothing is lost"
            ) from None
        return Outcome("accepted", provider_id=path.name)

    async def close(self) -> None:
        """Nothing is open."""
