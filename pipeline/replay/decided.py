"""How far a run has decided, and which of its records that was: they are counted, for offsets and times tell it not.

A cluster goes on while its topics are copied, each up to a moment of its own; retention takes the beginning of one and
not of another. But the progress record, which every commit writes last, counts each partition's commands, decisions and
cancels since the run began. So the number of a record says on which side of a checkpoint or of a copy it lies.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
from rocksdict import AccessType, Rdict

from models.progress import Counts, Progress
from pipeline.replay.errors import LogError
from pipeline.replay.recorded import RecordedLog
from pipeline.store.codec import PROGRESS, decode_progress
from pipeline.store.rocks import options

COUNTED = {"delivery": "commands", "decisions": "decisions", "cancels": "cancels"}


class Keyed(msgspec.Struct, frozen=True):
    """Of a recorded record, the customer whose it is; "" for marks and releases, which are not counted."""

    customer: str = ""


_keyed = msgspec.json.Decoder(Keyed)


def counted(raw: bytes) -> str:
    """Return the customer of a record that a run counts, "" of one that it does not."""
    return _keyed.decode(raw).customer


def numbered(log: RecordedLog, stream: str, partition: int) -> Iterator[tuple[int, str, int, bytes]]:
    """Yield (number, customer, offset, record) of a stream's part; the run's very first record has number 0."""
    decided = log.decided(partition)
    number = decided.lacking.get(stream, 0) if decided is not None else 0
    for offset, raw in log.rows(stream, partition):
        customer = counted(raw)
        if customer:
            yield number, customer, offset, raw
            number += 1


def count_at(counts: Counts, stream: str) -> int:
    """Return how many records of a stream there were when a progress record said so."""
    found: int = getattr(counts, COUNTED[stream])
    return found


def progress_at(checkpoint: Path | None) -> Progress | None:
    """Return the progress record of a checkpoint, None for the log's beginning; LogError where it is damaged."""
    if checkpoint is None:
        return None
    rows = Rdict(str(checkpoint), options(), access_type=AccessType.read_only())
    try:
        raw = rows.get(PROGRESS)
    finally:
        rows.close()
    if raw is None:
        raise LogError(f"{checkpoint}: the checkpoint has no progress record: it is damaged")
    return decode_progress(raw)
