"""Daily checkpoints as replay finds them: which one is nearest before a time, and where the streams stood then."""

from collections.abc import Callable, Iterable
from pathlib import Path

from rocksdict import AccessType, Rdict

from pipeline.runtime.checkpoints import checkpoints_of, kept_of
from pipeline.runtime.folder import STREAMS, stream_key
from pipeline.store.rocks import options

# (offset on `delivery`, time of emission): was this before the replay begins?
Before = Callable[[int, int], bool]


def nearest(data: Path, moment: int) -> Path | None:
    """Return the newest checkpoint whose watermark is not after a time (UTC ms), None where there is none."""
    found = [one for one in checkpoints_of(data) if one.watermark <= moment]
    return max(found, key=lambda one: one.offset).path if found else None


def emitted_before(checkpoint: Path | None) -> Before:
    """Return what says whether a command had been emitted when a checkpoint was taken.

    An embedded run's checkpoint holds its streams, so the place on `delivery` says it; that of a cluster's partition
    holds the states alone, and the time of emission says it, with the checkpoint's watermark.
    """
    if checkpoint is None:
        return lambda offset, emitted_at: False
    ends = stream_ends(checkpoint)
    if ends["journal", 0]:
        return lambda offset, emitted_at: offset < ends["delivery", 0]
    watermark = int(checkpoint.name.partition("-")[2])
    return lambda offset, emitted_at: emitted_at < watermark


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


def begins(checkpoint: Path | None) -> dict[tuple[str, int], int]:
    """Return where the streams of a run stood where a replay begins; nothing for the log's beginning."""
    return {} if checkpoint is None else stream_ends(checkpoint)


def stream_ends(checkpoint: Path) -> dict[tuple[str, int], int]:
    """Return the offset after the last record of each stream of an embedded run when the checkpoint was taken."""
    rows = Rdict(str(checkpoint), options(), access_type=AccessType.read_only())
    try:
        return {(stream, 0): _end(rows, stream) for stream in STREAMS}
    finally:
        rows.close()


def _end(rows: Rdict, stream: str) -> int:
    found = rows.iter()
    found.seek_for_prev(stream_key(stream, 2**63 - 1))
    if found.valid() and found.key().startswith(stream_key(stream, 0)[:-8]):
        return int.from_bytes(found.key()[-8:], "big") + 1
    return 0
