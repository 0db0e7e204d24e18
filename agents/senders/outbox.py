"""The outbox folder: each message becomes a file; nothing leaves the machine."""

import os
from pathlib import Path

from pipeline.sending.mime import to_mime
from pipeline.sending.outcome import Message, Outcome


class Outbox:
    """Writes `COMMAND.eml` files; the command id is the file's name, so the same command is the same file."""

    name = "outbox"
    idempotent = True
    needs_address = False
    at_once = 1

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    async def send(self, message: Message) -> Outcome:
        """Write a message; whole or not at all."""
        path = self.folder / f"{message.command}.eml"
        half = self.folder / f".{message.command}.part"
        half.write_bytes(to_mime(message).as_bytes())
        os.replace(half, path)
        return Outcome("accepted", provider_id=path.name)

    async def close(self) -> None:
        """Nothing is open."""
