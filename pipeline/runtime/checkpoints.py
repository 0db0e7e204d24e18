"""Checkpoints of a store, one a day of log time: where a replay of a late stretch begins.

A checkpoint links the store's tables, so it costs little until they are rewritten. It lies under `checkpoints`, named
by the journal offset that comes next and the watermark (UTC ms). The newest KEPT are kept. A history that runs through
months in a minute makes one in EVERY_S at most: which ones there are changes no result, only where a replay may begin.
"""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rocksdict import Checkpoint, Rdict

from models.progress import Progress

FOLDER = "checkpoints"
KEPT = 30
EVERY_S = 20.0
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Kept:
    """A checkpoint: the journal offset to read next, the watermark (UTC ms) and its folder."""

    offset: int
    watermark: int
    path: Path


def kept_of(worker: Path, partition: int) -> Path:
    """Return where a worker of a cluster keeps the checkpoints of a partition, in its data folder."""
    return worker / "kept" / f"partition-{partition}"


def checkpoints_of(data: Path) -> list[Kept]:
    """Return the checkpoints of a data folder, oldest first."""
    found = []
    for path in (data / FOLDER).glob("*-*"):
        offset, _, watermark = path.name.partition("-")
        if offset.isdigit() and watermark.isdigit() and (path / "CURRENT").exists():
            found.append(Kept(int(offset), int(watermark), path))
    return sorted(found, key=lambda one: one.offset)


class DailyCheckpoints:
    """Takes a checkpoint where log time enters a new day; asked after every commit."""

    def __init__(self, data: Path, db: Callable[[], Rdict], first_at_once: bool = False, *, every_s: float = EVERY_S):
        self.data = data
        self._db = db
        self._every_s = every_s
        self._taken_at = time.monotonic() - (every_s if first_at_once else 0.0)
        kept = checkpoints_of(data)
        self._day = kept[-1].watermark // DAY_MS if kept else None

    def begin(self, progress: Progress) -> None:
        """Go on from a progress record that another may have committed: the day that follows it is a new one."""
        if self._day is None and progress.watermark:
            self._day = progress.watermark // DAY_MS

    def after(self, progress: Progress) -> Path | None:
        """Take one if a new day has begun; return its folder where it was taken."""
        day = progress.watermark // DAY_MS
        if self._day is None:
            self._day = day
        if day <= self._day or time.monotonic() - self._taken_at < self._every_s:
            return None
        self._day, self._taken_at = day, time.monotonic()
        path = self.data / FOLDER / f"{progress.next_offset:012d}-{progress.watermark}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            Checkpoint(self._db()).create_checkpoint(str(path))
        for old in checkpoints_of(self.data)[:-KEPT]:
            shutil.rmtree(old.path, ignore_errors=True)
        return path
