"""`--clock broker`: the ticks of one source partition, from arrivals and fetches; pure, every time is passed in.

Theory of operation. A tick says that no event of this source partition that arrived before a time is still to come.
The ingest may say so of what it has read (a busy source: its newest arrival), and of a fetch that found nothing more
(an idle one: when that fetch was sent). Both are taken back by the source's declared delay, since a producer's
retries and clocks may put an older arrival behind a newer one. All times are the broker's: arrivals are record
timestamps, and every tick is capped by the append time of the writer's last journal message, so that neither a
producer nor this host with a clock that is ahead moves the watermark beyond what the broker has lived through. The
time of a fetch is the append time that the writer knew when it sent the fetch: the host's clock is not needed.

The order of calls for a record: `read`, then `gave` for each journal partition that one of its events went to, then,
when a bundle closes, `tick` for that partition, behind its events. An offset may be committed when a tick that covers
it is acknowledged in every journal partition: `committable`. A clock lives as long as its writer: when a bundle fails,
both are dropped, and a new clock starts at the committed offset.
"""

from dataclasses import dataclass

from models.journal import Tick

DELAY_MS = 10_000


@dataclass(frozen=True, slots=True)
class FetchEnd:
    """What a fetch said of its partition: the reader's position behind it, the last stable offset, the high watermark.

    `sent_ms`: append time (UTC ms) of the writer's last journal message that was acknowledged before it was sent.
    """

    position: int
    last_stable: int
    high_watermark: int
    sent_ms: int

    @property
    def at_head(self) -> bool:
        """Say whether there was nothing more to read: no record, no open transaction, no record below the position."""
        return self.position == self.last_stable == self.high_watermark


@dataclass(frozen=True, slots=True)
class OpenGroup:
    """The first record of lines that are not yet an event: no tick covers it or passes its arrival (UTC ms)."""

    offset: int
    arrived_ms: int


class SourceClock:
    """The ticks of one source partition towards every journal partition.

    `start` is the committed offset from which it reads (the first offset where none is committed). A source that
    gives nothing to say yet has no tick: the writer needs one acknowledged message of its own (an empty bundle will
    do) before the first one.
    """

    def __init__(
        self, source: str, partition: int, *, partitions: int, start: int, epoch: int = 0, delay_ms: int = DELAY_MS
    ):
        self.source = source
        self.partition = partition
        self.epoch = epoch
        self.delay_ms = delay_ms
        self.next = start
        self._upto = 0
        self._first = [start] * partitions
        self._before = [0] * partitions
        self._events = [0] * partitions
        self._acknowledged = [start] * partitions

    def read(self, offset: int, arrived_ms: int) -> None:
        """Note that a record was read; offsets rise, with holes where a topic is compacted or transactional."""
        if offset < self.next:
            raise ValueError(f"offset {offset} of {self.source}/{self.partition} was read after {self.next - 1}")
        self.next = offset + 1
        self._upto = max(self._upto, arrived_ms)

    def gave(self, journal_partition: int) -> None:
        """Note that an event of this source partition goes into a journal partition."""
        self._events[journal_partition] += 1

    def idle(self, fetch: FetchEnd) -> bool:
        """Take the end of a fetch; True where it lets the clock of an idle source move. How often, the caller says."""
        if not fetch.at_head or fetch.sent_ms <= self._upto:
            return False
        self._upto = fetch.sent_ms
        # What lies between the last record and the head are aborted records and markers: they are covered too.
        self.next = max(self.next, fetch.position)
        return True

    def tick(self, journal_partition: int, appended_ms: int | None, group: OpenGroup | None = None) -> Tick | None:
        """Return a journal partition's next tick, None where there is nothing new to say.

        `appended_ms` is the append time (UTC ms) of the writer's last acknowledged journal message, None before it.
        """
        upto = min(self._upto, appended_ms or 0)
        following = self.next
        if group is not None:
            upto, following = min(upto, group.arrived_ms), min(following, group.offset)
        first = self._first[journal_partition]
        before = max(self._before[journal_partition], upto - self.delay_ms)
        if following <= first and before <= self._before[journal_partition]:
            return None
        self._first[journal_partition] = max(first, following)
        self._before[journal_partition] = before
        events, self._events[journal_partition] = self._events[journal_partition], 0
        return Tick(
            source=self.source,
            partition=self.partition,
            epoch=self.epoch,
            first=first,
            next=max(first, following),
            events=events,
            before=before,
            upto=max(before, upto),
        )

    def acknowledged(self, journal_partition: int, tick: Tick) -> None:
        """Note that the broker has a tick."""
        self._acknowledged[journal_partition] = max(self._acknowledged[journal_partition], tick.next)

    @property
    def committable(self) -> int:
        """Return the offset that may be committed: every journal partition has a tick that covers all before it."""
        return min(self._acknowledged)
