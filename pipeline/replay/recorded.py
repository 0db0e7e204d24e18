"""A recorded log as replay reads it: the journal, what was decided and emitted, and the plans, in one RocksDB.

Two kinds of folder hold one: the data folder of an embedded run, read as it is, and a *spool*, into which a cluster's
topics or a file's events were copied. In a spool each stream has a part for each partition, and a record of the journal
begins with the broker's append time (8 bytes, UTC ms).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rocksdict import WriteBatch

from models.event import Event
from models.journal import Bundle, JournalMessage, Tick
from models.progress import Counts
from pipeline.journal.codec import JournalError, decode
from pipeline.replay.errors import LogError
from pipeline.runtime.folder import Folder, meta_key, stream_key
from pipeline.scenario.sources import PlanSources
from pipeline.store.codec import PROGRESS, decode_progress

SPOOL = "spool"
TIME_BYTES = 8


class SpoolHead(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a spool says of itself: its journal's partition count, and whether anything was ever sent from it."""

    partitions: int
    from_file: bool = False


class Decided(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a run has decided a partition: the journal offset that comes next, and what it has counted.

    `lacking` says of a stream how many of its first records retention took. Where the run went on while the rest was
    copied (`moving`) that is a guess, too low by what was decided meanwhile.
    """

    next_offset: int = 0
    counts: Counts = Counts()
    lacking: dict[str, int] = {}
    moving: bool = False


@dataclass(frozen=True, slots=True)
class Raw:
    """One journal message before it is decoded: offset, append time (UTC ms), value."""

    offset: int
    appended_at: int
    value: bytes


class RecordedLog:
    """Reads a data folder or a spool; many processes may read one at once."""

    def __init__(self, path: Path):
        self.path = path
        self._folder = Folder(path, read_only=True)
        raw = self._folder.get(SPOOL)
        self.head = msgspec.json.decode(raw, type=SpoolHead) if raw else None
        self.partitions = self.head.partitions if self.head else 1

    @property
    def was_live(self) -> bool:
        """Say whether commands and reactions of a live run stand beside the journal."""
        return self.head is None or not self.head.from_file

    def _name(self, stream: str, partition: int) -> str:
        return stream if self.head is None else f"{stream}/{partition}"

    def begin(self, stream: str, partition: int) -> int | None:
        """Return the offset of a stream's first record, None where there is none."""
        return next((offset for offset, _ in self._folder.scan(self._name(stream, partition))), None)

    def end(self, stream: str, partition: int) -> int:
        """Return the offset after a stream's last record."""
        return self._folder.end(self._name(stream, partition))

    def raw(self, partition: int, start: int = 0) -> Iterator[Raw]:
        """Yield the journal's messages from an offset on; LogError where one is missing."""
        wanted = start
        for offset, value in self._folder.scan(self._name("journal", partition), start):
            if offset != wanted:
                raise LogError(_gap(partition, wanted, offset))
            wanted = offset + 1
            if self.head is None:
                yield Raw(offset, 0, value)
            else:
                yield Raw(offset, int.from_bytes(value[:TIME_BYTES], "big"), value[TIME_BYTES:])

    def messages(self, partition: int, start: int = 0) -> Iterator[JournalMessage]:
        """Yield decoded messages; LogError where one is missing, damaged or of a newer version."""
        for one in self.raw(partition, start):
            yield decoded(one, partition)

    def records(self, stream: str, partition: int) -> Iterator[bytes]:
        """Yield the records of a stream other than the journal."""
        for _, value in self._folder.scan(self._name(stream, partition)):
            yield value

    def rows(self, stream: str, partition: int) -> Iterator[tuple[int, bytes]]:
        """Yield the records of a stream with their offsets."""
        yield from self._folder.scan(self._name(stream, partition))

    def decided(self, partition: int) -> Decided | None:
        """Return how far the run had decided when its log was opened or copied, None where it had nothing yet."""
        if self.head is not None:
            found = self._folder.get(f"decided/{partition}")
            return msgspec.json.decode(found, type=Decided) if found else None
        raw = self.state(PROGRESS)
        if raw is None:
            return None
        progress = decode_progress(raw)
        return Decided(next_offset=progress.next_offset, counts=progress.counts)

    def plan(self, name: str) -> PlanSources | None:
        """Return a plan's sources by hash."""
        raw = self._folder.get(f"plan/{name}")
        return None if raw is None else PlanSources.decode(raw)

    def live_plan(self) -> PlanSources | None:
        """Return the sources of the plan that was activated last."""
        name = self._folder.get("plan")
        return None if name is None else self.plan(name.decode())

    def state(self, key: bytes) -> bytes | None:
        """Return a value of the state as the run left it (an embedded run's alone)."""
        found: bytes | None = self._folder.db.get(key)
        return found

    def states(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the values of the state under a type byte, in the order of their keys."""
        rows = self._folder.db.iter()
        rows.seek(prefix)
        while rows.valid() and rows.key()[:1] == prefix:
            yield rows.key()[1:], rows.value()
            rows.next()

    def span(self) -> tuple[int, int] | None:
        """Return the first and last log time (UTC ms) of the journal; None where it has neither event nor tick."""
        firsts, lasts = [], []
        for partition in range(self.partitions):
            first = next((t for one in self.messages(partition, self.first(partition)) for t in _times(one.bundle)), 0)
            last = self._last_time(partition)
            if first and last:
                firsts.append(first)
                lasts.append(last)
        return (min(firsts), max(lasts)) if firsts else None

    def first(self, partition: int) -> int:
        """Return the offset of the oldest journal message that is kept (0 where there is none)."""
        return self.begin("journal", partition) or 0

    def _last_time(self, partition: int) -> int:
        """Look back to the last tick: behind it may stand receipts, whose own times are earlier."""
        last, first = 0, self.first(partition)
        for offset in range(self.end("journal", partition) - 1, first - 1, -1):
            bundle = decoded(next(self.raw(partition, offset)), partition).bundle
            last = max([last, *_times(bundle)])
            if any(isinstance(entry, Tick) for entry in bundle.entries):
                break
        return last

    def close(self) -> None:
        """Let the folder go."""
        self._folder.close()


def _gap(partition: int, wanted: int, found: int) -> str:
    if wanted == 0:
        return (
            f"the journal's partition {partition} begins at message {found}: what was before it is no longer kept, so"
            " customers' states cannot be built anew; start from a checkpoint with --from, or keep the journal longer"
        )
    return f"the journal's partition {partition} has no messages {wanted} to {found - 1}: a replay would miss them"


def decoded(one: Raw, partition: int) -> JournalMessage:
    """Return a message with its entries; LogError names its place."""
    try:
        return JournalMessage(offset=one.offset, appended_at=one.appended_at, bundle=decode(one.value))
    except JournalError as error:
        raise LogError(
            f"message {one.offset} of the journal's partition {partition}: {error}; it is damaged or was written by a"
            " newer release: use that one"
        ) from None


def _times(bundle: Bundle) -> Iterator[int]:
    for entry in bundle.entries:
        if isinstance(entry, Event):
            yield entry.arrived_at
        elif isinstance(entry, Tick) and entry.before:
            yield entry.before


class SpoolWriter:
    """Writes a spool; what it holds counts only once `close` has put down its head."""

    def __init__(self, path: Path, partitions: int, *, from_file: bool = False):
        self.folder = Folder(path)
        self.head = SpoolHead(partitions=partitions, from_file=from_file)
        self._batch = WriteBatch(raw_mode=True)
        self._held = 0

    def put(self, stream: str, partition: int, offset: int, value: bytes, appended_at: int | None = None) -> None:
        """Add one record; `appended_at` (UTC ms) for the journal's."""
        raw = value if appended_at is None else appended_at.to_bytes(TIME_BYTES, "big") + value
        self._batch.put(stream_key(f"{stream}/{partition}", offset), raw)
        self._held += len(raw)
        if self._held > 4 * 1024 * 1024:
            self._write()

    def plan(self, sources: PlanSources, *, live: bool) -> None:
        """Keep a plan."""
        self._batch.put(meta_key(f"plan/{sources.hash}"), sources.encode())
        if live:
            self._batch.put(meta_key("plan"), sources.hash.encode())

    def decided(self, partition: int, found: Decided) -> None:
        """Keep how far the run had decided a partition."""
        self._batch.put(meta_key(f"decided/{partition}"), msgspec.json.encode(found))

    def state(self, key: bytes, value: bytes | None) -> None:
        """Keep a value of the changelog; None takes it away."""
        if value is None:
            self._batch.delete(key)
        else:
            self._batch.put(key, value)
        self._held += len(key) + len(value or b"")
        if self._held > 4 * 1024 * 1024:
            self._write()

    def _write(self) -> None:
        self.folder.write(self._batch)
        self._batch, self._held = WriteBatch(raw_mode=True), 0

    def close(self) -> None:
        """Put down the head, and close."""
        self._batch.put(meta_key(SPOOL), msgspec.json.encode(self.head))
        self._write()
        self.folder.close()
