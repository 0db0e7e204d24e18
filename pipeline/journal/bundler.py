"""Collects journal entries into bundles, one open bundle a partition.

An entry is encoded when it is added: only its true size keeps a bundle of large carts below what the broker takes,
and a bundle that the broker refuses would stop the ingest for good.
"""

from collections import deque

import msgspec

from models.ids import partition_of
from models.journal import Entry
from pipeline.journal.codec import AGE_MS_MAX, BYTES_MAX, EVENTS_MAX, Packed, pack


class _Open:
    """The entries of one partition that wait for their bundle; `since` is the age of the first (the caller's ms)."""

    def __init__(self) -> None:
        self.entries: deque[bytes] = deque()
        self.bytes = 0
        self.since = 0

    def take(self) -> list[msgspec.Raw]:
        """Take what fits into one bundle; a single entry always does."""
        taken: list[msgspec.Raw] = []
        size = 0
        while self.entries and len(taken) < EVENTS_MAX and (not taken or size + len(self.entries[0]) <= BYTES_MAX):
            entry = self.entries.popleft()
            size += len(entry)
            taken.append(msgspec.Raw(entry))
        self.bytes -= size
        return taken


class Bundler:
    """Entries by journal partition; a bundle is due by count, size or age (the caller's clock, ms).

    The caller writes one bundle of a partition at a time, in the order in which they were taken, and after a failure
    drops the bundler with its producer.
    """

    def __init__(self, writer: str, partitions: int):
        self.writer = writer
        self.partitions = partitions
        self._open = [_Open() for _ in range(partitions)]

    def add(self, entry: Entry, customer: str, now_ms: int) -> int:
        """Add an event to its customer's partition, and return that partition."""
        partition = partition_of(customer, self.partitions)
        self.put(entry, partition, now_ms)
        return partition

    def put(self, entry: Entry, partition: int, now_ms: int) -> None:
        """Add an entry to a partition."""
        waiting, packed = self._open[partition], pack(entry)
        if not waiting.entries:
            waiting.since = now_ms
        waiting.entries.append(packed)
        waiting.bytes += len(packed)

    def due(self, partition: int, now_ms: int) -> bool:
        """Say whether a partition's bundle should be closed."""
        waiting = self._open[partition]
        if not waiting.entries:
            return False
        full = len(waiting.entries) >= EVENTS_MAX or waiting.bytes >= BYTES_MAX
        return full or now_ms - waiting.since >= AGE_MS_MAX

    def waiting(self) -> bool:
        """Say whether any partition has entries."""
        return any(one.entries for one in self._open)

    def full(self) -> bool:
        """Say whether a partition holds twice a bundle: the reader should wait."""
        return any(len(one.entries) >= 2 * EVENTS_MAX or one.bytes >= 2 * BYTES_MAX for one in self._open)

    def take(self, partition: int) -> Packed | None:
        """Close and return a partition's next bundle: at most EVENTS_MAX entries and BYTES_MAX, or one large entry."""
        taken = self._open[partition].take()
        return Packed(writer=self.writer, entries=taken) if taken else None
