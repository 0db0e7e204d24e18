"""The commands of one channel that wait for their end, in the order of `delivery`, and their progress record.

Only so many are kept in memory: while the engine catches up a backlog of marketing is held, and the mark that ends the
hold stands behind it. What does not fit is parked: only its offsets are known, and it is read again later.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from models.command import Command
from pipeline.sending.progress import Retry, SenderProgress, Span
from pipeline.sending.stage import Queued

KEPT_MAX = 5_000


class Waiting:
    """What is not at its end below `next`; `kept` by offset (ascending), the rest parked in spans."""

    def __init__(self, progress: SenderProgress, kept_max: int = KEPT_MAX):
        self.channel = progress.channel
        self.next = progress.low
        self.kept: dict[int, Queued] = {}
        self._kept_max = kept_max
        self._before = progress  # what is below its `next` has been read before: only its spans still wait
        self._parked: list[Span] = []
        # The how-many-eth command of the channel an offset holds: neighbours of one span have neighbouring numbers.
        self._number: dict[int, int] = {}
        self._numbered = 0

    def take(self, offset: int, command: Command) -> None:
        """Take a command up from `delivery`, unless it is another channel's or at its end."""
        self.next = offset + 1
        if command.channel != self.channel:
            return
        self._numbered += 1
        span = self._span_of(offset)
        if offset < self._before.next and span is None:
            return
        self._number[offset] = self._numbered
        held = span is not None and span.held
        if self._must_park(offset, command):
            self._park(offset, held)
            return
        self.kept[offset] = Queued(command, offset, held=held)
        for retry in self._before.retries:
            if retry.offset == offset:
                self.kept[offset].attempts, self.kept[offset].not_before = retry.attempts, retry.not_before

    def _must_park(self, offset: int, command: Command) -> bool:
        """Marketing is parked first, so that transactional commands never wait behind a backlog that is held."""
        if offset in self._before.open:
            return False
        if command.purpose == "marketing":
            return bool(self._parked) or len(self.kept) >= self._kept_max
        return len(self.kept) >= 2 * self._kept_max

    def passed(self, offset: int) -> None:
        """Note a record that is no command."""
        self.next = offset + 1

    def _span_of(self, offset: int) -> Span | None:
        return next((span for span in self._before.waiting if span.first <= offset <= span.last), None)

    def _park(self, offset: int, held: bool) -> None:
        last = self._parked[-1] if self._parked else None
        if last is not None and last.held == held and self._neighbours(last.last, offset):
            self._number.pop(last.last)
            self._parked[-1] = Span(last.first, offset, held)
        else:
            self._parked.append(Span(offset, offset, held))

    def _neighbours(self, left: int, right: int) -> bool:
        return self._number[right] == self._number[left] + 1

    def done(self, offset: int) -> None:
        """A command is at its end."""
        del self.kept[offset]
        del self._number[offset]

    @property
    def parked(self) -> bool:
        """Say whether some commands are known by their offsets alone."""
        return bool(self._parked)

    @property
    def low(self) -> int:
        """Return the lowest offset that is not at its end."""
        spans = self.spans()
        return min(spans[0].first, self.next) if spans else self.next

    @property
    def starved(self) -> bool:
        """Say whether parked commands should be read again: there is room for them."""
        return bool(self._parked) and len(self.kept) <= self._kept_max // 2

    def spans(self) -> tuple[Span, ...]:
        """Return what waits: what is kept and has not been read again yet, and what is parked."""
        unread = [span for span in self._before.waiting if span.last >= self.next]
        unread = [Span(max(span.first, self.next), span.last, span.held) for span in unread]
        found: list[Span] = []
        previous = None
        for offset, queued in self.kept.items():
            if previous is not None and found[-1].held == queued.held and self._neighbours(previous, offset):
                found[-1] = Span(found[-1].first, offset, queued.held)
            else:
                found.append(Span(offset, offset, queued.held))
            previous = offset
        return tuple(sorted((*found, *self._parked, *unread), key=lambda span: span.first))

    def progress(self, open_offsets: Iterable[int]) -> SenderProgress:
        """Return the progress record as of now."""
        again = [
            Retry(one.offset, one.attempts, one.not_before)
            for one in self.kept.values()
            if one.attempts or one.not_before
        ]
        # Of those that are parked or not read again yet, what was known before still holds.
        again += [one for one in self._before.retries if one.offset not in self.kept and self._unkept(one.offset)]
        return replace(
            self._before,
            next=max(self.next, self._before.next),
            waiting=self.spans(),
            open=tuple(sorted(open_offsets)),
            retries=tuple(sorted(again, key=lambda one: one.offset)),
        )

    def _unkept(self, offset: int) -> bool:
        if offset >= self.next:
            return self._span_of(offset) is not None
        return any(span.first <= offset <= span.last for span in self._parked)
