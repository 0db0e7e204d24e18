"""Who did what and when: written before it is done, never changed. A file in a data folder, a table on a cluster.

A customer stands there by a keyed hash, so that the audit says nothing readable of somebody who was erased; who knows
the id finds them by it.
"""

import hashlib
import hmac
import os
import threading
import time
from pathlib import Path
from typing import Protocol

import msgspec
from sqlalchemy import Engine, insert, select

from agents.projector.schema import audit

TEXT_MAX = 256
SHOWN = 200
TAIL_BYTES = 256 * 1024


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line: `at` is the wall clock's (UTC ms); `detail` is empty for what was asked, else why it was not done."""

    at: int
    who: str
    action: str
    target: str = ""
    detail: str = ""


_decoder = msgspec.json.Decoder(Entry)


def entry(who: str, action: str, target: str = "", detail: str = "") -> Entry:
    """Return an entry of now, its texts cut to what is kept."""
    at = time.time_ns() // 1_000_000
    return Entry(at=at, who=who[:TEXT_MAX], action=action, target=target[:TEXT_MAX], detail=detail[:TEXT_MAX])


def customer_mark(secret: bytes, customer: str) -> str:
    """Return by what a customer stands in the audit."""
    return "customer " + hmac.new(secret, b"audit " + customer.encode(), hashlib.sha256).hexdigest()[:24]


class Audit(Protocol):
    """Where entries are kept."""

    def write(self, one: Entry) -> None:
        """Keep an entry, durably; an error where it cannot be kept: then nothing may be done."""

    def last(self, target: str = "") -> list[Entry]:
        """Return the last entries, newest first; of one target where it is named."""


class FileAudit:
    """Lines of JSON in a file that is only ever written at its end."""

    def __init__(self, folder: Path):
        self.path = folder / "audit.ndjson"
        self._lock = threading.Lock()

    def write(self, one: Entry) -> None:
        """Append an entry and wait for the disk."""
        line = msgspec.json.encode(one) + b"\n"
        with self._lock:
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(file, line)
                os.fsync(file)
            finally:
                os.close(file)

    def last(self, target: str = "") -> list[Entry]:
        """Return the last entries of the file's end, newest first."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - TAIL_BYTES, 0))
            lines = file.read().splitlines()
        # The first may be the end of a line that began before.
        whole = lines[1:] if size > TAIL_BYTES else lines
        found = [one for one in map(_read, reversed(whole)) if one and target in {"", one.target}]
        return found[:SHOWN]


def _read(line: bytes) -> Entry | None:
    """Return a line's entry; None for one that a crash cut off."""
    try:
        return _decoder.decode(line)
    except msgspec.DecodeError:
        return None


class TableAudit:
    """Rows of the read model's database."""

    def __init__(self, engine: Engine):
        self._engine = engine

    def write(self, one: Entry) -> None:
        """Insert an entry."""
        with self._engine.begin() as connection:
            connection.execute(insert(audit).values(msgspec.structs.asdict(one)))

    def last(self, target: str = "") -> list[Entry]:
        """Return the last entries, newest first."""
        asked = select(audit.c.at, audit.c.who, audit.c.action, audit.c.target, audit.c.detail)
        if target:
            asked = asked.where(audit.c.target == target)
        with self._engine.connect() as connection:
            rows = connection.execute(asked.order_by(audit.c.number.desc()).limit(SHOWN)).mappings()
            return [Entry(**row) for row in rows]
