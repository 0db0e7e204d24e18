"""What the merge of `--clock records` takes at once: one record, or the adjacent lines of one group.

A group is taken whole, at the time of its first line. An open group would hold the ticks of everybody else back until
the next line of its own partition came, and how long that takes depends on how the source is partitioned.
"""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from pipeline.intake.mapper import GROUP_LINES_MAX, Mapper
from pipeline.intake.native import Fault
from pipeline.intake.record import SourceRecord


class Input(msgspec.Struct, kw_only=True):
    """One source partition of the merge. `finished` says whether an iterator that gives nothing now is at its end."""

    source: str
    partition: int
    records: Iterator[SourceRecord]
    mapper: Mapper
    finished: Callable[[], bool] = lambda: True

    @property
    def key(self) -> str:
        """Return the name under which its position is kept."""
        return f"{self.source}/{self.partition}"


class Unit(msgspec.Struct, kw_only=True, gc=False):
    """Records that are taken at once, at log time `at`; `last` is the time that its last record reached (UTC ms)."""

    at: int
    last: int
    records: list[SourceRecord]


class UnitReader:
    """Reads the units of an input; within one source partition times never go back."""

    def __init__(self, source: Input, time: int):
        self.input = source
        self.starved = False
        self._time = time
        self._unit: Unit | None = None
        self._unit_key: tuple[Any, ...] | None = None
        self._ahead: tuple[SourceRecord, tuple[Any, ...] | None] | None = None
        self._key: tuple[Any, ...] | None = None
        self._length = 0

    def next(self) -> Unit | None:
        """Return the next whole unit; None where the input has no more, or (`starved`) none for now."""
        while (found := self._read()) is not None:
            record, key = found
            if self._unit is not None and (key is None or key != self._unit_key):
                self._ahead = found
                return self._close()
            self._add(record, key)
            if key is None:
                return self._close()
        # More lines of the group at hand may still come.
        self.starved = not self.input.finished()
        return None if self.starved or self._unit is None else self._close()

    def _read(self) -> tuple[SourceRecord, tuple[Any, ...] | None] | None:
        if self._ahead is not None:
            found, self._ahead = self._ahead, None
            return found
        record = next(self.input.records, None)
        if record is None:
            return None
        key = self.input.mapper.group_key(record)
        if key is None or key != self._key:
            self._key, self._length = key, 0
        elif self._length >= GROUP_LINES_MAX:
            # Kept small in memory; a second event of the same id would be taken for a duplicate.
            return msgspec.structs.replace(record, fault=f"a group of over {GROUP_LINES_MAX} lines"), None
        self._length += 1
        return record, key

    def _add(self, record: SourceRecord, key: tuple[Any, ...] | None) -> None:
        try:
            said = self.input.mapper.time_of(record) if record.timestamp_ms is None else record.timestamp_ms
            self._time = max(self._time, said)
        except Fault:
            pass  # the mapper makes a dead letter of it; it stands at the time of the record before
        if self._unit is None:
            self._unit, self._unit_key = Unit(at=self._time, last=self._time, records=[]), key
        self._unit.records.append(record)
        self._unit.last = self._time

    def _close(self) -> Unit:
        unit, self._unit = self._unit, None
        assert unit is not None
        return unit
