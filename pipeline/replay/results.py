"""What a replay's units wrote, read together: in the order of customers, or one customer's alone."""

import heapq
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from rocksdict import Rdict

from pipeline.replay.workspace import read_kind
from pipeline.store.rocks import options


class Results:
    """The folders of a replay's units, open; no customer is in two of them."""

    def __init__(self, folders: list[Path]):
        self._opened: list[Rdict] = []
        try:
            for folder in folders:
                self._opened.append(Rdict(str(folder), options()))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close."""
        self.close()

    def rows(self, kind: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield (customer, value) in the order of customers, and of each in the order in which it went out."""
        yield from heapq.merge(*(read_kind(rows, kind) for rows in self._opened), key=lambda row: row[0].encode())

    def of(self, kind: bytes, customer: str) -> list[bytes]:
        """Return one customer's values."""
        prefix = kind + customer.encode() + b"\x00"
        return [value for rows in self._opened for value in _after(rows, prefix)]

    def close(self) -> None:
        """Close the folders."""
        for rows in self._opened:
            rows.close()
        self._opened = []


def _after(rows: Rdict, prefix: bytes) -> Iterator[bytes]:
    found = rows.iter()
    found.seek(prefix)
    while found.valid() and found.key()[:-8] == prefix:
        yield found.value()
        found.next()
