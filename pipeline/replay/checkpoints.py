"""Daily checkpoints as replay finds them: which one is nearest before a time."""

from collections.abc import Iterable
from pathlib import Path

from pipeline.runtime.checkpoints import checkpoints_of, kept_of


def nearest(data: Path, moment: int) -> Path | None:
    """Return the newest checkpoint whose watermark is not after a time (UTC ms), None where there is none."""
    found = [one for one in checkpoints_of(data) if one.watermark <= moment]
    return max(found, key=lambda one: one.offset).path if found else None


def of_partitions(folders: Iterable[Path], partitions: int, moment: int) -> dict[int, Path]:
    """Return, by partition, the newest checkpoint that workers' data folders hold of it, not after a time (UTC ms)."""
    found = {}
    for partition in range(partitions):
        kept = [
            one for folder in folders for one in checkpoints_of(kept_of(folder, partition)) if one.watermark <= moment
        ]
        if kept:
            found[partition] = max(kept, key=lambda one: one.offset).path
    return found
