"""The outbox folder: each message becomes a file; nothing leaves the machine."""

import os
from pathlib import Path

import orjson

from pipeline.errors import RunError
from pipeline.sending.mime import to_mime
from pipeline.sending.outcome import Message, Outcome


class Outbox:
    """Writes `COMMAND.eml` files, of other channels than mail `COMMAND.json`: the same command is the same file."""

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
        mail = message.channel == "email"
        path = self.folder / f"{message.command}.{'eml' if mail else 'json'}"
        half = self.folder / f".{message.command}.part"
        content = to_mime(message) if mail else _as_json(message)
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


def _as_json(message: Message) -> bytes:
    said = {
        "command": message.command,
        "channel": message.channel,
        "customer": message.customer,
        "to": message.address,
        "scenario": message.scenario,
        "step": message.step,
        "at": message.at,
        "text": message.text,
        "payload": message.payload,
    }
    return orjson.dumps({name: value for name, value in said.items() if value}, option=orjson.OPT_INDENT_2) + b"\n"
