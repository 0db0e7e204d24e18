"""The catalogue from files, read again when one of them changes."""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path

from pipeline.sending.catalogue import NOTHING, Catalogue
from pipeline.sending.catalogue_rows import Row, rows_of

# What a data folder may hold: the computed lists first, so that the store's own word comes after and counts.
NAMES = ("recommendations.ndjson", "products.ndjson", "products.json", "products.csv")
FAULTS_TOLD = 5
Stamp = tuple[tuple[str, int, int], ...]


def in_folder(data: Path) -> list[Path]:
    """Return where a data folder's catalogue would be."""
    return [data / name for name in NAMES]


class FileGoods:
    """Files of products and lists; one that is not there says nothing, and a later file overrides an earlier one.

    Put a new version in place by renaming it: a file is read as it stands. `tell` gets a sentence for rows that cannot
    be used.
    """

    def __init__(self, paths: Sequence[Path], tell: Callable[[str], None] = lambda _: None):
        self._paths = list(paths)
        self._tell = tell
        self._stamp: Stamp = ()
        self._catalogue = NOTHING

    def now(self) -> Catalogue:
        """Return the catalogue of the files as they are now."""
        stamp = self._look()
        if stamp != self._stamp:
            self._catalogue = self._read()
            self._stamp = stamp
        return self._catalogue

    def _look(self) -> Stamp:
        found = []
        for path in self._paths:
            try:
                said = path.stat()
            except OSError:
                continue
            found.append((str(path), said.st_mtime_ns, said.st_size))
        return tuple(found)

    def _read(self) -> Catalogue:
        hasher = blake2b(digest_size=6)
        rows: list[Row] = []
        faults: list[str] = []
        for path in self._paths:
            try:
                raw = path.read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                faults.append(f"{path.name}: {error.strerror}")
                continue
            hasher.update(raw)
            for one in rows_of(path.name, raw.decode(errors="replace")):
                if isinstance(one, str):
                    faults.append(one)
                else:
                    rows.append(one)
        for fault in faults[:FAULTS_TOLD]:
            self._tell(f"the catalogue's row is left out: {fault}")
        if len(faults) > FAULTS_TOLD:
            self._tell(f"and {len(faults) - FAULTS_TOLD} rows more are left out of the catalogue")
        return Catalogue.of(rows, hasher.hexdigest()) if rows else NOTHING
