"""What one journal partition has seen of every source partition: positions, ticks, and the watermark they make."""

from msgspec.structs import replace

from models.event import Position
from models.journal import SourceChanged, Tick
from models.progress import SourceProgress

# A source that joins counts once its tick is this close to the watermark: until then its events are silent.
JOIN_WITHIN_MS = 10_000


class SourceTable:
    """The sources of one journal partition: a duplicate filter, and the minimum of the ticks of those that count."""

    def __init__(self, sources: tuple[SourceProgress, ...] = (), watermark: int = 0):
        self._rows = {(row.source, row.partition): row for row in sources}
        self.watermark = watermark
        self.alarms: dict[str, str] = {}
        for row in sources:
            if row.state == "held":
                self.alarms[f"{row.source}/{row.partition}"] = "events are missing"

    def rows(self) -> tuple[SourceProgress, ...]:
        """Return the table for the progress record, in a fixed order."""
        return tuple(self._rows[key] for key in sorted(self._rows))

    def accept(self, position: Position) -> bool:
        """Note an event's position; False where it was seen already (a record that ingest wrote twice)."""
        key = (position.source, position.partition)
        row = self._rows.get(key)
        if row is None:
            # Under the records clock the merge ticks; its inputs are known by their events alone.
            row = SourceProgress(source=position.source, partition=position.partition, feedback=True)
        if (position.epoch, position.offset, position.index) <= (row.epoch, row.offset, row.index):
            return False
        self._rows[key] = replace(row, epoch=position.epoch, offset=position.offset, index=position.index)
        return True

    def is_joining(self, position: Position) -> bool:
        """Say whether the event's source has not caught up yet: its events start nothing."""
        row = self._rows.get((position.source, position.partition))
        return row is not None and row.state == "joining"

    def tick(self, tick: Tick) -> None:
        """Take a tick; one whose `first` is beyond what was covered holds its source, and so the watermark."""
        key = (tick.source, tick.partition)
        row = self._rows.get(key)
        if row is None or row.state == "retired" or tick.epoch != row.epoch:
            return
        if tick.first > row.covered:
            missing = f"records {row.covered} to {tick.first} are missing"
            self.alarms[f"{tick.source}/{tick.partition}"] = missing
            row = replace(row, state="held")
        elif tick.next >= row.covered:
            if row.state == "held":
                # The missing range was written after all (ingest went back): nothing is missing any more.
                self.alarms.pop(f"{tick.source}/{tick.partition}", None)
                row = replace(row, state="live")
            row = replace(row, covered=tick.next, before=max(row.before, tick.before))
            row = replace(row, upto=max(row.upto, tick.upto or tick.before))
        if row.state == "joining" and row.before >= self.watermark - JOIN_WITHIN_MS:
            row = replace(row, state="live")
        self._rows[key] = row
        self._move()

    def change(self, control: SourceChanged) -> None:
        """A source joins, is retired, or starts a new epoch."""
        key = (control.source, control.partition)
        row = self._rows.get(key)
        if control.change == "retire":
            if row is not None:
                self._rows[key] = replace(row, state="retired")
                self.alarms.pop(f"{control.source}/{control.partition}", None)
        elif control.change == "reset":
            known = row or SourceProgress(source=control.source, partition=control.partition)
            fresh = replace(known, epoch=control.epoch, offset=-1, index=-1, covered=control.first, state="joining")
            self._rows[key] = replace(fresh, before=0)
            self.alarms.pop(f"{control.source}/{control.partition}", None)
        elif row is None or row.state == "retired":
            # The sources that join before anything has ticked are the first set: all of them count at once.
            state = "live" if self.watermark == 0 and not self._ticked() else "joining"
            self._rows[key] = SourceProgress(
                source=control.source,
                partition=control.partition,
                epoch=control.epoch,
                covered=control.first,
                state=state,
                feedback=control.feedback,
            )
        self._move()

    def _ticked(self) -> bool:
        return any(row.before for row in self._rows.values())

    def _move(self) -> None:
        counting = [row.before for row in self._rows.values() if row.state in {"live", "held"} and not row.feedback]
        if counting:
            self.watermark = max(self.watermark, min(counting))

    @property
    def applied_until(self) -> int:
        """Return the arrival time up to which all counting sources are applied (UTC ms)."""
        counting = [row.upto for row in self._rows.values() if row.state in {"live", "held"} and not row.feedback]
        return min(counting, default=0)

    def behind(self) -> list[str]:
        """Return the source partitions that hold the watermark back, for the operator."""
        return sorted(
            f"{row.source}/{row.partition}"
            for row in self._rows.values()
            if row.state in {"live", "held"} and not row.feedback and row.before <= self.watermark
        )
