"""The stretch of a log that a task looks at, and the plan under which it is looked at.

recorded entry      under a draft
plan activated      the first is the draft's, the others are left out; with `since`, those before it stay, and the
draft is activated where the watermark reaches `since`
tick                cut to `until`
event               left out if it arrived at `until` or later, belongs to another unit's customers, or is the
reaction to a message that this replay has not emitted (it was never sent)
any other           as it is
"""

from collections.abc import Callable, Iterator

from msgspec.structs import replace

from models.event import Event
from models.ids import digest
from models.journal import Entry, JournalMessage, PlanActivated, Tick
from pipeline.replay.task import Task

DRAFT = "draft"


class Stretch:
    """Rewrites journal entries; `watermark` says how far the partition has come."""

    def __init__(
        self,
        task: Task,
        watermark: Callable[[], int],
        takes: Callable[[str], bool],
        withheld: Callable[[Event], bool],
    ):
        self.task = task
        self._watermark = watermark
        self._takes = takes
        self._withheld = withheld
        self._activated = False
        # Ticks beyond `since` that wait for it, as they were.
        self._cut: dict[tuple[str, int], Tick] = {}
        self._stopped = False
        # From here on what goes out counts.
        self.counting = task.since is None

    @property
    def ended(self) -> bool:
        """Say whether nothing after this can matter."""
        return self._stopped or (self.task.until is not None and self._watermark() >= self.task.until)

    def pieces(self, message: JournalMessage) -> Iterator[list[Entry]]:
        """Yield a message's entries in pieces; the reader applies each before it takes the next."""
        entries = message.bundle.entries
        if self.counting or not self._reaches_since(entries):
            yield [new for entry in entries if (new := self._rewritten(entry)) is not None]
            return
        for entry in entries:
            new = self._rewritten(entry)
            if new is not None:
                yield [new]
            if not self.counting and self._watermark() >= (self.task.since or 0):
                yield self.begin()

    def _reaches_since(self, entries: list[Entry]) -> bool:
        since = self.task.since or 0
        return self._watermark() >= since or any(isinstance(one, Tick) and one.before >= since for one in entries)

    def begin(self) -> list[Entry]:
        """Begin to count; return the draft's activation, if there is a draft, and the ticks that were cut."""
        self.counting = True
        draft, at = self.task.draft, self.task.since or 0
        ticks = [new for tick in self._cut.values() if (new := self._rewritten(tick)) is not None]
        if draft is None:
            return [*ticks]
        return [PlanActivated(id=digest(DRAFT, draft.hash, str(at)), plan=draft.hash, at=at), *ticks]

    def _rewritten(self, entry: Entry) -> Entry | None:
        if self._stopped or (isinstance(entry, PlanActivated) and entry.id == self.task.stop_at):
            self._stopped = True
            return None
        if isinstance(entry, Event):
            return self._event(entry)
        if isinstance(entry, Tick):
            return self._tick(entry)
        return self._plan(entry) if isinstance(entry, PlanActivated) else entry

    def _tick(self, tick: Tick) -> Tick:
        """A tick goes no further than the next border of the stretch: no timer beyond it fires too early."""
        border = self.task.until if self.counting else self.task.since
        if border is None or (tick.before <= border and tick.upto <= border):
            return tick
        if not self.counting:
            self._cut[tick.source, tick.partition] = tick
        return replace(tick, before=min(tick.before, border), upto=min(tick.upto, border))

    def _event(self, event: Event) -> Event | None:
        until = self.task.until
        if not self._takes(event.customer) or (until is not None and event.arrived_at >= until):
            return None
        if self.task.draft is not None and event.type.startswith("message_") and self._withheld(event):
            return None
        return event

    def _plan(self, entry: PlanActivated) -> PlanActivated | None:
        draft = self.task.draft
        if draft is None or not self.counting:
            return entry
        if self._activated or self.task.since is not None:
            return None
        self._activated = True
        return replace(entry, plan=draft.hash)
