"""Exact counts of pairs in bounded memory: what does not fit is put aside as a sorted run, and runs are merged."""

import heapq
from array import array
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path

# A pair and its count take about 100 bytes in a dictionary: 100 MB at most.
HELD_MAX = 1_000_000
READ_PAIRS = 8_192
BITS = 32


class PairCounts:
    """Counts ordered pairs of small numbers (below 2**32); `folder` takes the runs, and is the caller's to remove."""

    def __init__(self, folder: Path, held_max: int = HELD_MAX):
        self._folder = folder
        self._held_max = held_max
        self._held: dict[int, int] = {}
        self._runs: list[Path] = []

    def add(self, basket: list[int]) -> None:
        """Count every pair of a basket, in both orders."""
        held = self._held
        for one in basket:
            high = one << BITS
            for other in basket:
                if one != other:
                    key = high | other
                    held[key] = held.get(key, 0) + 1
        if len(held) >= self._held_max:
            self._put_aside()

    def _put_aside(self) -> None:
        path = self._folder / f"pairs-{len(self._runs)}"
        with path.open("wb") as file:
            for key in sorted(self._held):
                array("Q", (key, self._held[key])).tofile(file)
        self._runs.append(path)
        self._held = {}

    def by_first(self) -> Iterator[tuple[int, list[tuple[int, int]]]]:
        """Yield each first number with (second, count) of its pairs, both in order."""
        held = ((key, self._held[key]) for key in sorted(self._held))
        merged = heapq.merge(held, *(_rows(path) for path in self._runs))
        totals = ((key, sum(count for _, count in same)) for key, same in groupby(merged, key=itemgetter(0)))
        for first, rows in groupby(totals, key=lambda row: row[0] >> BITS):
            yield first, [(key & (2**BITS - 1), count) for key, count in rows]


def _rows(path: Path) -> Iterator[tuple[int, int]]:
    with path.open("rb") as file:
        while raw := file.read(READ_PAIRS * 16):
            row = array("Q", raw)
            yield from zip(row[::2], row[1::2], strict=True)
