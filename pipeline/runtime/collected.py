"""What the embedded host hears from customers and providers while it runs: a stream of its own, read as feedback.

The collector writes from its own thread: the native records, facts about addresses and the place in the stream are one
write batch, and are durable when `put` returns. The pipeline reads on from where it stands. In a history log time is
not the wall clock's: what is heard gets the log time of the moment, each a millisecond after the one before, so that it
comes after all that the log held by then, and words of one customer keep their order.
"""

import threading
from collections.abc import Callable, Iterator, Sequence

import msgspec
from msgspec.structs import replace
from rocksdict import WriteBatch

from models.dead_letter import DeadLetter
from models.event import Event
from pipeline.errors import RunError
from pipeline.intake.feedback import COLLECTED
from pipeline.intake.mapper import Mapper
from pipeline.intake.record import SourceRecord
from pipeline.runtime.folder import Folder, meta_key, stream_key
from pipeline.sending.hearing import Heard, IntakeError
from pipeline.sending.links import Links
from pipeline.sending.suppressions import Suppression, SuppressionTable, encode

SUPPRESSIONS = "suppress/"


class Collected(msgspec.Struct, frozen=True):
    """One record as it was heard, at its log time (UTC ms)."""

    at: int
    value: bytes


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Collected).decode


class CollectedStream:
    """The stream and the table of suppressed addresses over one data folder; `log_time` is asked with every `put`."""

    def __init__(self, folder: Folder, links: Links, log_time: Callable[[], int]):
        self._folder = folder
        self._log_time = log_time
        self._lock = threading.Lock()
        self.end = folder.end(COLLECTED)
        self._last = max((_decode(raw).at for _, raw in folder.scan(COLLECTED, max(self.end - 1, 0))), default=0)
        self.table = SuppressionTable(links)
        for key, value in folder.values(SUPPRESSIONS):
            self.table.load(key.encode(), value)

    def put(self, heard: Sequence[Heard]) -> None:
        """Take what was heard; IntakeError where it could not be written, and then nothing of it was taken."""
        with self._lock:
            batch = WriteBatch(raw_mode=True)
            end, at = self.end, max(self._log_time(), self._last)
            rows: list[Suppression] = []
            for one in heard:
                at += 1
                if one.event is not None:
                    batch.put(stream_key(COLLECTED, end), _encode(Collected(at, _encode(one.event))))
                    end += 1
                rows += [replace(row, at=at) for row in one.suppress]
            for row in rows:
                batch.put(meta_key(SUPPRESSIONS + row.key), encode(row))
            lifted = [key for one in heard for key in one.lift]
            for key in lifted:
                batch.delete(meta_key(SUPPRESSIONS + key))
            try:
                self._folder.write(batch)
            except RunError as error:
                raise IntakeError(str(error)) from None
            self.end, self._last = end, at
            for row in rows:
                self.table.put(row)
            for key in lifted:
                self.table.lift(key)

    def suppress(self, rows: Sequence[Suppression], batch: WriteBatch) -> None:
        """Add facts about addresses to a batch; they hold at once: twice the same fact is one."""
        for row in rows:
            batch.put(meta_key(SUPPRESSIONS + row.key), encode(row))
            self.table.put(row)

    def events(self, start: int, most: int, mapper: Mapper) -> Iterator[tuple[int, Event | DeadLetter]]:
        """Yield what stands in the stream from an offset on, at its log time."""
        if start >= self.end:
            return
        for offset, raw in self._folder.scan(COLLECTED, start):
            one = _decode(raw)
            record = SourceRecord(source=COLLECTED, offset=offset, timestamp_ms=one.at, value=one.value)
            for found in mapper.feed(record):
                yield offset, replace(found, occurred_at=one.at) if isinstance(found, Event) else found
            most -= 1
            if not most:
                return


class EmbeddedIntake:
    """The collector's way into an embedded run."""

    def __init__(self, stream: CollectedStream):
        self._stream = stream

    async def accept(self, heard: Sequence[Heard]) -> None:
        """Take what was heard, in order."""
        self._stream.put(heard)
