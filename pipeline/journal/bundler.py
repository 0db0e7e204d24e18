"""Collects journal entries into bundles, one open bundle a partition."""

from models.ids import partition_of
from models.journal import Bundle, Entry
from pipeline.journal.codec import AGE_MS_MAX, BYTES_MAX, EVENTS_MAX

# An estimate of an entry's bytes that errs high: the true size is known only when encoded.
ENTRY_BYTES = 1_024


class Bundler:
    """Entries by journal partition; a bundle is due by count, size or age (the caller's clock, ms)."""

    def __init__(self, writer: str, partitions: int):
        self.writer = writer
        self.partitions = partitions
        self._entries: list[list[Entry]] = [[] for _ in range(partitions)]
        self._bytes = [0] * partitions
        self._since: list[int | None] = [None] * partitions

    def add(self, entry: Entry, customer: str, now_ms: int, size: int = ENTRY_BYTES) -> int:
        """Add an event to its customer's partition, and return that partition."""
        partition = partition_of(customer, self.partitions)
        self.put(entry, partition, now_ms, size)
        return partition

    def put(self, entry: Entry, partition: int, now_ms: int, size: int = ENTRY_BYTES) -> None:
        """Add an entry to a partition."""
        self._entries[partition].append(entry)
        self._bytes[partition] += size
        if self._since[partition] is None:
            self._since[partition] = now_ms

    def due(self, partition: int, now_ms: int) -> bool:
        """Say whether a partition's bundle should be closed."""
        since = self._since[partition]
        if since is None:
            return False
        full = len(self._entries[partition]) >= EVENTS_MAX or self._bytes[partition] >= BYTES_MAX
        return full or now_ms - since >= AGE_MS_MAX

    def waiting(self) -> bool:
        """Say whether any partition has entries."""
        return any(self._entries)

    def full(self) -> bool:
        """Say whether a partition holds twice a bundle: the reader should wait."""
        return any(len(entries) >= 2 * EVENTS_MAX for entries in self._entries)

    def take(self, partition: int) -> Bundle | None:
        """Close and return a partition's next bundle, at most EVENTS_MAX entries and about BYTES_MAX."""
        entries = self._entries[partition]
        if not entries:
            return None
        share = max(
            1,
            int(EVENTS_MAX if self._bytes[partition] <= BYTES_MAX else EVENTS_MAX * BYTES_MAX / self._bytes[partition]),
        )
        taken, left = entries[:share], entries[share:]
        self._bytes[partition] = self._bytes[partition] * len(left) // len(entries)
        self._entries[partition] = left
        if not left:
            self._since[partition] = None
        return Bundle(writer=self.writer, entries=taken)
