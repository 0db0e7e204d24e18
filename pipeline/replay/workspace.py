"""A unit's folder on disk: the states as they are rebuilt, and what goes out, by customer.

Everything lies on disk, so that the memory that a replay takes does not grow with the log. Keys of the state are those
of `pipeline.store.rocks`; besides them: C, D, X + customer + 0 + number: commands, decisions, cancels; E + command id:
emitted here; L + command id: emitted by the live run, at (8 bytes). Nothing here outlives the replay: RocksDB's own log
is not written.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from rocksdict import Cache, Rdict, WriteBatch, WriteOptions

from models.command import Command
from pipeline.replay.decided import numbered
from pipeline.replay.recorded import RecordedLog
from pipeline.runtime.batch import Batch
from pipeline.store.codec import COLD, HOT
from pipeline.store.rocks import DUE, TIMER, RocksState, options

COMMANDS, DECISIONS, CANCELS = b"C", b"D", b"X"
EMITTED, LIVE = b"E", b"L"
REAL, SUPPOSED = b"1", b"0"
# A replay reads each stretch once: more would only be filled, by every process.
CACHE_BYTES = 32 * 1024 * 1024
encode = msgspec.json.Encoder().encode


class LiveCommand(msgspec.Struct, frozen=True):
    """What is read of a recorded command."""

    id: str
    emitted_at: int


_delivered = msgspec.json.Decoder(LiveCommand)


class Workspace(RocksState):
    """States and results of one unit; `close` leaves what was written for the readers of results."""

    def __init__(self, path: Path, checkpoint: Path | None = None):
        if checkpoint is not None:
            _copy(checkpoint, path)
        path.mkdir(parents=True, exist_ok=True)
        self._rows = Rdict(str(path), options(Cache(CACHE_BYTES)))
        quick = WriteOptions()
        quick.disable_wal = True
        self._rows.set_write_options(quick)
        super().__init__(self._rows)
        self._number = 0
        self._emitted: set[str] = set()

    def keep_only(self, takes: Callable[[str], bool]) -> None:
        """Take away the customers of a checkpoint who belong to other units."""
        batch = WriteBatch(raw_mode=True)
        for kind, head in ((HOT, 1), (COLD, 1), (DUE, 1), (TIMER, 9)):
            rows = self._rows.iter()
            rows.seek(kind)
            while rows.valid() and rows.key()[:1] == kind:
                if not takes(rows.key()[head:].decode()):
                    batch.delete(rows.key())
                rows.next()
        self._rows.write(batch)

    def load_live(self, log: RecordedLog, partition: int, takes: Callable[[str], bool], before: int) -> None:
        """Note what the live run emitted, so that reactions to what is not emitted here are known.

        What it had emitted before the replay begins, its first `before` commands, counts as emitted here.
        """
        batch = WriteBatch(raw_mode=True)
        for number, customer, _, raw in numbered(log, "delivery", partition):
            if takes(customer):
                found = _delivered.decode(raw)
                batch.put(LIVE + found.id.encode(), found.emitted_at.to_bytes(8, "big"))
                if number < before:
                    batch.put(EMITTED + found.id.encode(), b"")
            if number % 10_000 == 9_999:
                self._rows.write(batch)
                batch = WriteBatch(raw_mode=True)
        self._rows.write(batch)

    def live_at(self, command: str) -> int | None:
        """Return when the live run emitted a command (UTC ms), None where it did not."""
        raw = self._rows.get(LIVE + command.encode())
        return None if raw is None else int.from_bytes(raw, "big")

    def was_emitted(self, command: str) -> bool:
        """Say whether this replay has emitted a command so far."""
        return command in self._emitted or self._rows.get(EMITTED + command.encode()) is not None

    def emitted(self, commands: list[Command]) -> None:
        """Note the commands of the batch at hand."""
        self._emitted.update(command.id for command in commands)

    def commit(self, batch: Batch, *, counting: bool, decisions: bool) -> None:
        """Write states and what goes out, at once."""
        out = WriteBatch(raw_mode=True)
        self.write(batch, out)
        for command in batch.commands:
            out.put(EMITTED + command.id.encode(), b"")
            if counting:
                real = REAL if self.live_at(command.id) == command.emitted_at else SUPPOSED
                self._put(out, COMMANDS, command.customer, real + encode(command))
        if counting and decisions:
            for decision in batch.decisions:
                self._put(out, DECISIONS, decision.customer, encode(decision))
            for cancel in batch.cancels:
                self._put(out, CANCELS, cancel.customer, encode(cancel))
        self._rows.write(out)
        self._emitted.clear()

    def _put(self, out: WriteBatch, kind: bytes, customer: str, value: bytes) -> None:
        out.put(kind + customer.encode() + b"\x00" + self._number.to_bytes(8, "big"), value)
        self._number += 1

    def results(self, kind: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield (customer, value) in the order of customers, and of each in the order in which it went out."""
        return read_kind(self._rows, kind)

    def states(self) -> Iterator[str]:
        """Yield the customers who are known, in order."""
        cursor: str | None = None
        while names := self.customers_after(cursor, 1_000):
            yield from names
            cursor = names[-1]

    def close(self) -> None:
        """Write out and close."""
        self._rows.close()


def read_kind(rows: Rdict, kind: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield (customer, value) of a kind of results."""
    found = rows.iter()
    found.seek(kind)
    while found.valid() and found.key()[:1] == kind:
        yield found.key()[1:-9].decode(), found.value()
        found.next()


def _copy(checkpoint: Path, path: Path) -> None:
    """Make a checkpoint's copy that may be written: tables never change, and are linked where the disk allows it."""
    path.mkdir(parents=True)
    for one in sorted(checkpoint.iterdir()):
        if one.suffix == ".sst":
            try:
                os.link(one, path / one.name)
                continue
            except OSError:
                pass  # another disk
        if one.is_file() and one.name != "LOCK":
            shutil.copyfile(one, path / one.name)
