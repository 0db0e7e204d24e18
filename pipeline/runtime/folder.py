"""The data folder of an embedded pipeline: one RocksDB, a lock, and a marker that says whose and which version it is.

One keyspace: the state's keys begin with h, c, p, t, d (see `pipeline.store.rocks`); streams have keys S + name + 0 +
offset (8 bytes, big endian); everything else stands under M + name. A commit is one write batch.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from rocksdict import Rdict, WriteBatch

from pipeline.errors import DataFolderError, RunError
from pipeline.store.rocks import open_beside, options

APP = "parcours"
FOLDER_VERSION = 1
STREAMS = (
    "journal", "delivery", "decisions", "cancels", "receipts", "forwards", "dead-letters", "vouchers",
    "memberships",
)  # fmt: skip


def stream_key(stream: str, offset: int) -> bytes:
    """Return the key of a stream's record."""
    return b"S" + stream.encode() + b"\x00" + offset.to_bytes(8, "big")


def meta_key(name: str) -> bytes:
    """Return the key of a single value."""
    return b"M" + name.encode()


class Folder:
    """An open data folder: exclusive for the run, or read-only beside it."""

    def __init__(self, path: Path, *, read_only: bool = False):
        self.path = path
        self._lock: IO[str] | None = None
        self._failed = False
        try:
            if read_only:
                _check_marker(path, must_exist=True)
            else:
                path.mkdir(parents=True, exist_ok=True)
                self._take_lock()
                _check_marker(path, must_exist=False)
            self.db = self._open(read_only)
        except BaseException:
            self._drop_lock()
            raise

    def _open(self, read_only: bool) -> Rdict:
        try:
            return open_beside(self.path / "db") if read_only else Rdict(str(self.path / "db"), options())
        except Exception as error:  # noqa: BLE001 - rocksdict raises bare Exceptions
            raise DataFolderError(f"{self.path}: the store cannot be opened: {error}") from None

    def _take_lock(self) -> None:
        self._lock = (self.path / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DataFolderError(f"{self.path}: another parcours works in this folder: stop it first") from None

    def _drop_lock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def write(self, batch: WriteBatch) -> None:
        """Write at once; a full disk is a RunError and leaves what was there."""
        try:
            self.db.write(batch)
        except Exception as error:  # noqa: BLE001 - rocksdict raises bare Exceptions
            self._failed = True
            raise RunError(
                f"{self.path}: the store cannot be written ({error}). Where the disk is full, make space; then run"
                " again: it goes on from its last commit, nothing is lost"
            ) from None

    def get(self, name: str) -> bytes | None:
        """Return a single value."""
        found: bytes | None = self.db.get(meta_key(name))
        return found

    def values(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        """Yield the single values whose names begin so, without that beginning, in the order of their names."""
        rows = self.db.iter()
        start = meta_key(prefix)
        rows.seek(start)
        while rows.valid() and rows.key().startswith(start):
            yield rows.key()[len(start) :].decode(), rows.value()
            rows.next()

    def scan(self, stream: str, start: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield a stream's records from an offset on."""
        rows = self.db.iter()
        prefix = stream_key(stream, 0)[:-8]
        rows.seek(stream_key(stream, start))
        while rows.valid() and rows.key().startswith(prefix):
            yield int.from_bytes(rows.key()[-8:], "big"), rows.value()
            rows.next()

    def end(self, stream: str) -> int:
        """Return the offset that the next record of a stream will have."""
        rows = self.db.iter()
        rows.seek_for_prev(stream_key(stream, 2**63 - 1))
        if rows.valid() and rows.key().startswith(stream_key(stream, 0)[:-8]):
            return int.from_bytes(rows.key()[-8:], "big") + 1
        return 0

    def close(self) -> None:
        """Close the store and let the folder go; RunError where that fails and no write has failed before."""
        try:
            self.db.close()
        except Exception as error:  # noqa: BLE001 - rocksdict raises bare Exceptions
            # After a write that failed it says so again; what was committed is in the log on disk.
            if not self._failed:
                raise RunError(f"{self.path}: the store cannot be closed: {error}") from None
        finally:
            self._drop_lock()


def _check_marker(path: Path, *, must_exist: bool) -> None:
    marker = path / "folder.json"
    if not marker.exists():
        if must_exist:
            raise DataFolderError(f"{path}: no data here; `parcours run --data {path}` makes some")
        others = [one.name for one in path.iterdir() if one.name != "lock"]
        if others:
            raise DataFolderError(
                f"{path}: holds other files ({sorted(others)[0]}) and no parcours data: name an empty one"
            )
        half = path / "folder.json.part"
        half.write_text(json.dumps({"app": APP, "version": FOLDER_VERSION}))
        os.replace(half, marker)
        return
    try:
        said = json.loads(marker.read_text())
        app, version = said["app"], int(said["version"])
    except (ValueError, KeyError, TypeError):
        raise DataFolderError(f"{marker}: is damaged: this is no folder of parcours") from None
    if app != APP:
        raise DataFolderError(f"{path}: belongs to {app!r}: name another folder")
    if version > FOLDER_VERSION:
        raise DataFolderError(
            f"{path}: was written by a newer release (version {version}, this one reads {FOLDER_VERSION}): use that one"
        )
