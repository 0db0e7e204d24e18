"""What one journal partition has seen of every source partition: positions, ticks, and the watermark they make.

The states of a source partition, and what moves it on (DESIGN, the journal):
    (none)   --join, while the watermark is 0-->       live      the first set counts at once
    (none)   --join, later-->                          joining   counts for nothing, its events are silent
    joining  --tick within JOIN_WITHIN_MS-->           live
    any      --tick whose `first` was not covered-->   held      counts with its last time: the watermark stands
    held     --reset or retire, by an operator-->      joining or retired
    any      --reset-->                                joining   in a new epoch, read from `first` on
    any      --retire-->                               retired   counts no more; a join brings it back
A held source never goes on by itself: what the filter has let pass since the hole would drop a late repetition of the
missing events. Feedback sources (`forwards`, `receipts`) count for nothing in any state.
"""

from msgspec.structs import replace

from models.event import Position
from models.journal import SourceChanged, Tick
from models.progress import SourceProgress

# A source that joins counts once its tick is this close to the watermark: until then its events are silent.
JOIN_WITHIN_MS = 10_000
COUNTING = frozenset({"live", "held"})


class SourceTable:
    """The sources of one journal partition: a duplicate filter, and the minimum of the ticks of those that count."""

    def __init__(self, sources: tuple[SourceProgress, ...] = (), watermark: int = 0, applied_until: int = 0):
        self._rows = {(row.source, row.partition): row for row in sources}
        # (epoch, offset, index) of each one's last event: they move with every event, the rows with every tick.
        self._last = {key: (row.epoch, row.offset, row.index) for key, row in self._rows.items()}
        self.watermark = watermark
        self._applied_until = applied_until
        # What an operator must look at: "source/partition" -> text.
        self.alarms: dict[str, str] = {}
        for row in sources:
            if row.state == "held":
                self.alarms[_name(row)] = f"records from {row.covered} on are missing: retire or reset the source"

    def rows(self) -> tuple[SourceProgress, ...]:
        """Return the table for the progress record, in a fixed order."""
        return tuple(self._row(key) for key in sorted(self._rows))

    def _row(self, key: tuple[str, int]) -> SourceProgress:
        row, (epoch, offset, index) = self._rows[key], self._last[key]
        if (row.epoch, row.offset, row.index) == (epoch, offset, index):
            return row
        return replace(row, epoch=epoch, offset=offset, index=index)

    def accept(self, position: Position) -> bool:
        """Note an event's position; False where it was seen already (a record that ingest wrote twice)."""
        key = (position.source, position.partition)
        at = (position.epoch, position.offset, position.index)
        last = self._last.get(key)
        if last is None:
            # Under the records clock the merge ticks; its inputs are known by their events alone.
            self._rows[key] = SourceProgress(source=position.source, partition=position.partition, feedback=True)
        elif at <= last:
            return False
        self._last[key] = at
        return True

    def is_joining(self, position: Position) -> bool:
        """Say whether the event's source has not caught up yet: its events start nothing."""
        row = self._rows.get((position.source, position.partition))
        return row is not None and row.state == "joining"

    def tick(self, tick: Tick) -> None:
        """Take a tick; one whose `first` is beyond what was covered holds its source, and so the watermark."""
        key = (tick.source, tick.partition)
        row = self._row(key) if key in self._rows else None
        if row is None or row.state == "retired" or tick.epoch < row.epoch:
            return
        if tick.epoch > row.epoch:
            self.alarms[_name(row)] = f"epoch {tick.epoch} began without a reset: reset the source"
            return
        if tick.first > row.covered:
            missing = f"records {row.covered} to {tick.first} are missing: retire or reset the source"
            self.alarms.setdefault(_name(row), missing)
            row = replace(row, state="held")
        elif row.state != "held":
            row = _moved(row, tick)
            if row.state == "joining" and row.before >= self.watermark - JOIN_WITHIN_MS:
                row = replace(row, state="live")
        self._put(key, row)
        self._move()

    def _put(self, key: tuple[str, int], row: SourceProgress) -> None:
        self._rows[key] = row
        self._last[key] = (row.epoch, row.offset, row.index)

    def change(self, control: SourceChanged) -> None:
        """A source joins, is retired, or starts a new epoch."""
        key = (control.source, control.partition)
        row = self._row(key) if key in self._rows else None
        match control.change:
            case "retire" if row is not None:
                self._put(key, replace(row, state="retired"))
                self.alarms.pop(_name(row), None)
            case "reset" if row is None or control.epoch > row.epoch:
                fresh = self._joined(control)
                self._put(key, fresh if row is None else replace(fresh, feedback=row.feedback))
                self.alarms.pop(_name(fresh), None)
            case "join" if row is None or row.state == "retired":
                fresh = self._joined(control)
                if row is not None and row.epoch == control.epoch:
                    # It was here before: what it has given already stays given.
                    fresh = replace(fresh, offset=row.offset, index=row.index)
                self._put(key, fresh)
        self._move()

    def _joined(self, control: SourceChanged) -> SourceProgress:
        # While the watermark is 0 no timer has fired, and none can fire too early for waiting for one more source.
        at_once = control.feedback or self.watermark == 0
        return SourceProgress(
            source=control.source,
            partition=control.partition,
            epoch=control.epoch,
            covered=control.first,
            state="live" if at_once else "joining",
            feedback=control.feedback,
        )

    def _counting(self) -> list[SourceProgress]:
        return [row for row in self._rows.values() if row.state in COUNTING and not row.feedback]

    def _move(self) -> None:
        counting = self._counting()
        if counting:
            self.watermark = max(self.watermark, min(row.before for row in counting))
            self._applied_until = max(self._applied_until, min(row.upto for row in counting))

    @property
    def applied_until(self) -> int:
        """Return the arrival time up to which all counting sources are applied (UTC ms); it never goes back."""
        return self._applied_until

    def behind(self) -> list[str]:
        """Return the source partitions that hold the watermark back, for the operator."""
        return sorted(_name(row) for row in self._counting() if row.before <= self.watermark)


def _name(row: SourceProgress) -> str:
    return f"{row.source}/{row.partition}"


def _moved(row: SourceProgress, tick: Tick) -> SourceProgress:
    """A tick that repeats what was covered says nothing new, and nothing that is old again."""
    if tick.next < row.covered:
        return row
    return replace(
        row,
        covered=tick.next,
        before=max(row.before, tick.before),
        upto=max(row.upto, tick.upto or tick.before),
    )
