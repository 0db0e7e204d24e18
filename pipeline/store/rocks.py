"""Customers and timers of one journal partition on RocksDB.

Keys of the state begin with the codec's type byte; the timer index has keys t + due (8 bytes, big endian) + customer.
Each customer has one live index entry, whose due time is kept in memory for those who are cached and in the value
under d + customer for all; it may be earlier than the true due time (a wake-up that finds nothing due rewrites only the
index), so that a timer which moves with every page view costs no index write.
"""

import time
from collections.abc import Iterable
from pathlib import Path

from rocksdict import AccessType, BlockBasedOptions, Cache, DBCompressionType, Options, Rdict, WriteBatch

from models.customer import Customer
from models.progress import Progress
from pipeline.engine.api import next_due
from pipeline.runtime.batch import Batch
from pipeline.store.codec import (
    HOT,
    PROGRESS,
    cold_key,
    decode_customer,
    decode_progress,
    encode_cold,
    encode_hot,
    encode_progress,
    hot_key,
)

TIMER, DUE, APPLIED = b"t", b"d", b"a"
# Encoded states of the latest customers are kept: so many, and no more than so many bytes of them, in each
# of two generations. States grow with what people do, up to their own bounds.
CACHED_MAX = 20_000
CACHED_BYTES = 12 * 1024 * 1024
CACHE_BYTES = 128 * 1024 * 1024
OPEN_TRIES = 50
OPEN_PAUSE_S = 0.02
Values = tuple[bytes, bytes | None]
# Nothing is kept of this customer: known, so that the disk is not asked again.
ABSENT: Values = (b"", None)


def options(cache: Cache | None = None) -> Options:
    """Return the settings that the measured store had: raw bytes, bloom filter, lz4, small memtables."""
    found = Options(raw_mode=True)
    found.create_if_missing(True)
    found.set_write_buffer_size(16 * 1024 * 1024)
    found.set_max_write_buffer_number(3)
    found.set_compression_type(DBCompressionType.lz4())
    table = BlockBasedOptions()
    table.set_bloom_filter(10, False)
    table.set_block_cache(cache or Cache(CACHE_BYTES))
    found.set_block_based_table_factory(table)
    found.set_max_open_files(256)
    return found


def open_beside(path: Path) -> Rdict:
    """Open a store read-only, as of now, while another process may be writing it; raises what the last try raised.

    A flush can take a log away between the listing and the reading of it, which would leave a hole in what is seen
    (measured; RocksDB's secondary mode has it too). So the logs are listed before and after, and the store is opened
    again where one of them went. All tables are opened at once, so that what is deleted later stays readable.
    """
    found = options()
    found.set_max_open_files(-1)
    for tries_left in reversed(range(OPEN_TRIES)):
        before = set(path.glob("*.log"))
        try:
            db = Rdict(str(path), found, access_type=AccessType.read_only())
        except Exception:
            if not tries_left:
                raise
        else:
            if before <= set(path.glob("*.log")):
                return db
            db.close()
        time.sleep(OPEN_PAUSE_S)
    raise OSError(f"it was rewritten {OPEN_TRIES} times while it was being opened: try again")


def due_key(due: int, customer: str) -> bytes:
    """Return the timer index's key."""
    return TIMER + due.to_bytes(8, "big") + customer.encode()


def _encoded(batch: Batch, name: str, customer: Customer) -> tuple[bytes, bytes]:
    return batch.encoded.get(name) or (encode_hot(customer), encode_cold(customer))


def _size(values: Values) -> int:
    return len(values[0]) + len(values[1] or b"")


class RocksState:
    """The state part of a RocksDB: reads, and the writes that a batch adds to a `WriteBatch`."""

    def __init__(self, db: Rdict):
        self._db = db
        # Encoded values in two generations: decoded states would cost the garbage collector more than they save.
        self._young: dict[str, Values] = {}
        self._old: dict[str, Values] = {}
        self._young_bytes = 0
        self._dues: dict[str, int | None] = {}
        self._first_due = 0  # no live index entry is before this: a seek skips the tombstones of fired timers

    def get(self, customer: str) -> Customer | None:
        """Return a customer's committed state."""
        found = self._read(customer)
        if found is None or next_due(found) is None:
            # Who waits for nothing has no index entry: there is none to look up when that changes.
            self._dues[customer] = None
        return found

    def _read(self, customer: str) -> Customer | None:
        values = self._values(customer)
        return None if values is None else decode_customer(customer, *values)

    def _values(self, customer: str) -> Values | None:
        found = self._young.get(customer)
        if found is None:
            found = self._old.pop(customer, None)
            if found is None:
                hot = self._db.get(hot_key(customer))
                found = ABSENT if hot is None else (hot, self._db.get(cold_key(customer)))
            self._cache(customer, found)
        return None if found is ABSENT else found

    def _cache(self, customer: str, values: Values) -> None:
        held = self._young.get(customer)
        self._young[customer] = values
        self._young_bytes += _size(values) - (_size(held) if held is not None else 0)
        if len(self._young) > CACHED_MAX or self._young_bytes > CACHED_BYTES:
            self._old, self._young, self._young_bytes = self._young, {}, 0
            self._dues = {name: due for name, due in self._dues.items() if name in self._old}

    def due(self, before: int, limit: int, after: tuple[int, str] | None = None) -> list[tuple[int, str]]:
        """Return (due, customer) of index entries due before a time (UTC ms), in that order, those after a cursor."""
        if before <= self._first_due:
            return []
        found: list[tuple[int, str]] = []
        rows = self._db.iter()
        rows.seek(TIMER + self._first_due.to_bytes(8, "big") if after is None else due_key(*after) + b"\x00")
        while rows.valid() and len(found) < limit:
            key = rows.key()
            due = int.from_bytes(key[1:9], "big")
            if key[:1] != TIMER or due >= before:
                break
            found.append((due, key[9:].decode()))
            rows.next()
        if after is None:
            self._first_due = found[0][0] if found else before
        return found

    def customers_after(self, cursor: str | None, limit: int) -> list[str]:
        """Return customer ids after a cursor, in the order of their bytes."""
        rows = self._db.iter()
        rows.seek(HOT if cursor is None else hot_key(cursor) + b"\x00")
        found: list[str] = []
        while rows.valid() and len(found) < limit and rows.key()[:1] == HOT:
            found.append(rows.key()[1:].decode())
            rows.next()
        return found

    def progress(self) -> Progress | None:
        """Return the last committed progress record."""
        raw = self._db.get(PROGRESS)
        return None if raw is None else decode_progress(raw)

    def write(self, batch: Batch, out: WriteBatch) -> None:
        """Add a batch's states, index changes and progress to a write batch."""
        watermark = batch.progress.watermark
        for name, customer in batch.customers.items():
            if customer is None:
                out.delete(hot_key(name))
                out.delete(cold_key(name))
                self._cache(name, ABSENT)
                self._index(name, None, out, watermark)
            else:
                self._write_customer(name, customer, batch, out)
                self._index(name, next_due(customer), out, watermark)
        out.put(PROGRESS, encode_progress(batch.progress))

    def _write_customer(self, name: str, customer: Customer, batch: Batch, out: WriteBatch) -> None:
        old = self._values(name)
        hot, cold = _encoded(batch, name, customer)
        out.put(hot_key(name), hot)
        if old is None or old[1] != cold:
            out.put(cold_key(name), cold)
        self._cache(name, (hot, cold))

    def changes(self, batch: Batch) -> list[tuple[bytes, bytes | None]]:
        """Return the changelog's records of a batch: what changed of every customer, the progress record last."""
        found: list[tuple[bytes, bytes | None]] = []
        for name, customer in batch.customers.items():
            if customer is None:
                found += [(hot_key(name), None), (cold_key(name), None)]
                continue
            values = self._values(name)
            hot, cold = _encoded(batch, name, customer)
            found.append((hot_key(name), hot))
            if values is None or values[1] != cold:
                found.append((cold_key(name), cold))
        found.append((PROGRESS, encode_progress(batch.progress)))
        return found

    def _indexed(self, name: str) -> int | None:
        if name in self._dues:
            return self._dues[name]
        raw = self._db.get(DUE + name.encode())
        return None if raw is None else int.from_bytes(raw, "big")

    def _index(self, name: str, due: int | None, out: WriteBatch, watermark: int) -> None:
        """Keep one index entry, at or before the true due time; one that the watermark has passed is made true."""
        indexed = self._indexed(name)
        if indexed == due or (indexed is not None and due is not None and watermark <= indexed <= due):
            # An entry before the true time stays: it wakes the customer once for nothing.
            self._dues[name] = indexed
            return
        if indexed is not None:
            out.delete(due_key(indexed, name))
        if due is None:
            out.delete(DUE + name.encode())
        else:
            out.put(due_key(due, name), b"")
            out.put(DUE + name.encode(), due.to_bytes(8, "big"))
            self._first_due = min(self._first_due, due)
        self._dues[name] = due

    def load(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Write changelog records as they are (restore); the index is made by `reindex` afterwards."""
        self._forget()
        out = WriteBatch(raw_mode=True)
        for key, value in records:
            if value is None:
                out.delete(key)
            else:
                out.put(key, value)
        self._db.write(out)

    def reindex(self, names: Iterable[str]) -> None:
        """Set the index entries of these customers right after a restore."""
        out = WriteBatch(raw_mode=True)
        for name in names:
            customer = self._read(name)
            self._index(name, next_due(customer) if customer else None, out, 0)
        self._db.write(out)
        self._forget()

    def _forget(self) -> None:
        """Drop what memory holds of the disk."""
        self._young, self._old, self._dues, self._young_bytes = {}, {}, {}, 0
        self._first_due = 0


class RocksStore(RocksState):
    """A RocksDB of its own for one journal partition: what a journeys worker keeps on its disk."""

    def __init__(self, path: Path, cache: Cache | None = None):
        path.mkdir(parents=True, exist_ok=True)
        self._path = str(path)
        self._cache_of_blocks = cache
        self._handle = Rdict(self._path, options(cache))
        super().__init__(self._handle)

    def apply_at(self, batch: Batch, offset: int) -> None:
        """Write a committed batch at once, with the changelog offset of its progress record."""
        out = WriteBatch(raw_mode=True)
        self.write(batch, out)
        out.put(APPLIED, offset.to_bytes(8, "big"))
        self._handle.write(out)

    @property
    def handle(self) -> Rdict:
        """Return the open database, for a checkpoint of it."""
        return self._handle

    def applied_offset(self) -> int | None:
        """Return the changelog offset of the last progress record that was applied here."""
        raw = self._handle.get(APPLIED)
        return None if raw is None else int.from_bytes(raw, "big")

    def set_applied(self, offset: int) -> None:
        """Note the changelog offset up to which a restore has come."""
        self._handle.put(APPLIED, offset.to_bytes(8, "big"))

    def empty(self) -> None:
        """Throw everything away: the changelog is the truth."""
        self._handle.close()
        Rdict.destroy(self._path, options(self._cache_of_blocks))
        self._handle = Rdict(self._path, options(self._cache_of_blocks))
        super().__init__(self._handle)

    def close(self) -> None:
        """Flush and close."""
        self._handle.close()
