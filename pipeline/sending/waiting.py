"""The commands of one channel that wait for their end, in the order of `delivery`, and their progress record.

Only so many are kept in memory: while the engine catches up a backlog of marketing is held, and the mark that ends the
hold stands behind it. What does not fit is parked: only its offsets are known, and it is read again when there is room.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from msgspec.structs import replace

from models.command import CHANNELS, Command
from pipeline.sending.progress import Retry, SenderProgress, Span
from pipeline.sending.stage import Queued

KEPT_MAX = 5_000
EMAIL = "email"


@dataclass(slots=True)
class _Parked:
    """Neighbours that are known by their offsets alone; `number` is the first one's, `last_number` the last one's."""

    first: int
    last: int
    held: bool
    number: int
    last_number: int


class Waiting:
    """What is not at its end below `next`: `kept` by offset, the rest parked."""

    def __init__(self, progress: SenderProgress, kept_max: int = KEPT_MAX):
        self.channel = progress.channel
        self.next = progress.low
        self.kept: dict[int, Queued] = {}
        self._kept_max = kept_max
        self._before = progress  # below its `next` all has been read before, and only its spans still wait
        self._parked: list[_Parked] = []
        # The how-many-eth command of the channel an offset holds: neighbours of one span have neighbouring numbers.
        self._number: dict[int, int] = {}
        self._numbered = 0

    def take(self, offset: int, command: Command) -> None:
        """Take a command up from `delivery`, unless it is another channel's or at its end."""
        self.next = offset + 1
        if not self._is_mine(command):
            return
        self._numbered += 1
        span = self._span_of(offset)
        if offset < self._before.next and span is None:
            return
        held = span is not None and span.held
        if self._must_park(offset, command):
            self._park(offset, held)
        else:
            self._keep(offset, command, held, self._numbered)

    def _is_mine(self, command: Command) -> bool:
        """A command of a channel that no sender has is ended by the email sender: somebody must, and one alone."""
        if command.channel == self.channel:
            return True
        return self.channel == EMAIL and command.channel not in CHANNELS

    def passed(self, offset: int) -> None:
        """Note a record that is no command."""
        self.next = offset + 1

    def _span_of(self, offset: int) -> Span | None:
        return next((span for span in self._before.waiting if span.first <= offset <= span.last), None)

    def _must_park(self, offset: int, command: Command) -> bool:
        """Marketing is parked first, so that transactional commands never wait behind a backlog that is held."""
        if offset in self._before.open:
            return False
        if command.purpose == "marketing":
            return bool(self._parked) or len(self.kept) >= self._kept_max
        return len(self.kept) >= 2 * self._kept_max

    def _keep(self, offset: int, command: Command, held: bool, number: int) -> None:
        queued = Queued(command, offset, held=held)
        for retry in self._before.retries:
            if retry.offset == offset:
                queued.attempts, queued.not_before = retry.attempts, retry.not_before
                queued.unsure_since = retry.unsure_since
        if offset in self._before.open:
            queued.unsure_since = queued.unsure_since or self._before.opened_at or 1
        self.kept[offset] = queued
        self._number[offset] = number

    def _park(self, offset: int, held: bool) -> None:
        last = self._parked[-1] if self._parked else None
        if last is not None and last.held == held and self._numbered == last.last_number + 1:
            last.last, last.last_number = offset, self._numbered
        else:
            self._parked.append(_Parked(offset, offset, held, self._numbered, self._numbered))

    def done(self, offset: int) -> None:
        """A command is at its end."""
        del self.kept[offset]
        del self._number[offset]

    @property
    def parked_from(self) -> int | None:
        """Return the offset from which parked commands are to be read again; None without any."""
        return self._parked[0].first if self._parked else None

    @property
    def room(self) -> int:
        """Return how many parked commands may be read again: none until half of the memory is free."""
        free = self._kept_max - len(self.kept)
        return free if free * 2 >= self._kept_max else 0

    def unpark(self, offset: int, command: Command | None) -> None:
        """Take up what stands at an offset, if it was parked; what was parked before that offset is no longer there."""
        while self._parked and self._parked[0].last < offset:
            self._parked.pop(0)
        if not self._parked or command is None or not self._is_mine(command):
            return
        span = self._parked[0]
        if not span.first <= offset:
            return
        self._keep(offset, command, span.held, span.number)
        span.first, span.number = offset + 1, span.number + 1
        if span.first > span.last:
            self._parked.pop(0)

    def ordered(self) -> list[Queued]:
        """Return what is kept, in the order of `delivery`."""
        return [self.kept[offset] for offset in sorted(self.kept)]

    def spans(self) -> tuple[Span, ...]:
        """Return what waits: kept, parked, and what a restart has not read again yet."""
        found = [Span(one.first, one.last, one.held) for one in self._parked]
        found += [
            Span(max(span.first, self.next), span.last, span.held)
            for span in self._before.waiting
            if span.last >= self.next
        ]
        previous: Queued | None = None
        for queued in self.ordered():
            if previous is not None and self._neighbours(previous, queued):
                found[-1] = Span(found[-1].first, queued.offset, queued.held)
            else:
                found.append(Span(queued.offset, queued.offset, queued.held))
            previous = queued
        return tuple(sorted(found, key=lambda span: span.first))

    def _neighbours(self, left: Queued, right: Queued) -> bool:
        return left.held == right.held and self._number[right.offset] == self._number[left.offset] + 1

    def progress(self, opened: Iterable[int]) -> SenderProgress:
        """Return the progress record as of now; `opened` are offsets with an intent and no outcome."""
        spans = self.spans()
        low = min(spans[0].first, self.next) if spans else self.next
        again = [
            Retry(one.offset, one.attempts, one.not_before, one.unsure_since)
            for one in self.kept.values()
            if one.attempts or one.not_before or one.unsure_since
        ]
        # Of those that are parked or not read again yet, what was known before still holds.
        again += [one for one in self._before.retries if one.offset not in self.kept and self._unkept(one.offset)]
        return replace(
            self._before,
            next=max(self.next, self._before.next),
            waiting=spans,
            open=tuple(sorted(one for one in opened if one >= low)),
            retries=tuple(sorted(again, key=lambda one: one.offset)),
        )

    def _unkept(self, offset: int) -> bool:
        if offset >= self.next:
            return self._span_of(offset) is not None
        return any(one.first <= offset <= one.last for one in self._parked)
