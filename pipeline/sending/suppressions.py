"""Who must not be written to, by the keyed hash of their address: rows that add up, in any order and any number.

A row is a fact and stands under `HASH|kind` (a soft bounce under `HASH|soft|event`): a repeated fact is the same row,
so several writers need no order among themselves. A row is taken away by writing nothing under its key.

    kind           stops                                               until
    bounced        every message                                       an operator lifts it
    soft           every message, from so many within so long on       they are older than that
    complained     marketing                                           an operator lifts it
    stopped        marketing (STOP by text message)                    START, or an operator lifts it
    erased         marketing                                           an operator lifts it
    unsubscribed   marketing emitted before UNSUBSCRIBED_MS after it   (the engine's own consent holds from then on)
How many soft bounces within how long, the plan of the command says (`collector.soft_bounces`).
An unsubscription is the engine's to remember: the row stops what it had already emitted when it was told.
"""

from dataclasses import dataclass
from typing import Literal

import msgspec

from models.command import Command
from pipeline.sending.links import Links

Kind = Literal["bounced", "soft", "complained", "stopped", "erased", "unsubscribed"]
SOFT_MAX = 5
SOFT_WITHIN_MS = 30 * 24 * 3_600_000
# The engine has taken note within seconds; ten minutes is what clocks and an event's own time may differ by.
UNSUBSCRIBED_MS = 600_000
EVERY_PURPOSE = frozenset({"bounced", "soft"})


@dataclass(frozen=True, slots=True)
class SoftRule:
    """From how many soft bounces (`count`) within how long (`within_ms`) an address gets nothing more."""

    count: int = SOFT_MAX
    within_ms: int = SOFT_WITHIN_MS


SOFT = SoftRule()


class Suppression(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fact about an address: `address` is its keyed hash, `at` UTC ms, `event` tells soft bounces apart."""

    address: str
    kind: Kind
    at: int
    event: str = ""
    channel: str = "email"

    @property
    def key(self) -> str:
        """Return the row's key: the same fact, the same key."""
        return f"{self.address}|{self.kind}" + (f"|{self.event}" if self.kind == "soft" else "")


encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Suppression).decode


class SuppressionTable:
    """All rows in memory: a `pipeline.sending.protocol.Suppressions`."""

    def __init__(self, links: Links):
        self._links = links
        self._rows: dict[str, dict[str, Suppression]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, row: Suppression) -> None:
        """Take a row."""
        self._rows[row.address] = {**self._rows.get(row.address, {}), row.key: row}

    def lift(self, key: str) -> None:
        """Take a row away."""
        address = key.partition("|")[0]
        left = {name: row for name, row in self._rows.get(address, {}).items() if name != key}
        if left:
            self._rows[address] = left
        else:
            self._rows.pop(address, None)

    def load(self, key: bytes, value: bytes | None) -> None:
        """Take a record of the compacted stream."""
        if value is None:
            self.lift(key.decode())
        else:
            self.put(_decode(value))

    def fact(self, command: Command, kind: Kind, at: int) -> Suppression | None:
        """Return a fact about a command's address, None where it has none."""
        if not command.address:
            return None
        address = self._links.address_hash(command.channel, command.address)
        return Suppression(address=address, kind=kind, at=at, channel=command.channel)

    def of(self, channel: str, address: str) -> list[Suppression]:
        """Return the rows of an address."""
        return list(self._rows.get(self._links.address_hash(channel, address), {}).values())

    def reason(self, command: Command, soft: SoftRule = SOFT) -> str | None:
        """Return why a command must not be carried out, None where nothing is against it."""
        if not self._rows or not command.address:
            return None
        rows = self.of(command.channel, command.address)
        found = [row.kind for row in rows if row.kind != "soft" and _stops(row, command)]
        if found:
            return found[0]
        count = sum(1 for row in rows if row.kind == "soft" and command.emitted_at - row.at <= soft.within_ms)
        return f"{count} soft bounces" if count >= soft.count else None


def _stops(row: Suppression, command: Command) -> bool:
    if row.kind in EVERY_PURPOSE:
        return True
    if command.purpose != "marketing":
        return False
    return row.kind != "unsubscribed" or command.emitted_at <= row.at + UNSUBSCRIBED_MS
