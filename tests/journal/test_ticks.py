"""The broker clock of one source partition: what it may say, and when it must be silent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.journal import Tick
from pipeline.journal.ticks import FetchEnd, OpenGroup, SourceClock

NOW = 1_700_000_000_000
DELAY = 10_000


def clock(start: int = 0, partitions: int = 1) -> SourceClock:
    return SourceClock("orders", 3, partitions=partitions, start=start, epoch=2, delay_ms=DELAY)


def head(position: int, sent_ms: int = NOW) -> FetchEnd:
    return FetchEnd(position=position, last_stable=position, high_watermark=position, sent_ms=sent_ms)


def told(tick: Tick | None) -> Tick:
    assert tick is not None
    return tick


def test_a_busy_source_ticks_its_newest_arrival_less_its_delay() -> None:
    subject = clock(start=5)
    subject.read(5, NOW - 100)
    subject.read(6, NOW - 300)
    subject.gave(0)
    assert subject.tick(0, NOW) == Tick(
        source="orders", partition=3, epoch=2, first=5, next=7, events=1, before=NOW - 100 - DELAY, upto=NOW - 100
    )


def test_nothing_new_is_no_tick() -> None:
    subject = clock()
    assert subject.tick(0, NOW) is None
    subject.read(0, NOW)
    assert subject.tick(0, NOW) is not None
    assert subject.tick(0, NOW) is None


def test_no_tick_is_later_than_the_append_time_of_the_writers_last_message() -> None:
    subject = clock()
    subject.read(0, NOW + 10**9)
    assert told(subject.tick(0, NOW)).upto == NOW
    assert told(subject.tick(0, NOW + 1)).upto == NOW + 1


def test_before_the_first_acknowledged_message_a_tick_covers_and_tells_no_time() -> None:
    subject = clock()
    subject.read(0, NOW)
    found = told(subject.tick(0, None))
    assert (found.next, found.before, found.upto) == (1, 0, 0)


def test_an_idle_source_ticks_the_time_of_the_fetch_that_found_nothing() -> None:
    subject = clock(start=4)
    assert subject.idle(head(4))
    assert told(subject.tick(0, NOW + 500)).before == NOW - DELAY


@pytest.mark.parametrize(
    "fetch",
    [
        FetchEnd(position=4, last_stable=4, high_watermark=5, sent_ms=NOW),
        FetchEnd(position=4, last_stable=5, high_watermark=5, sent_ms=NOW),
        FetchEnd(position=3, last_stable=4, high_watermark=4, sent_ms=NOW),
    ],
    ids=["an open transaction", "records to read", "a position behind"],
)
def test_a_source_that_is_not_read_to_its_head_does_not_idle(fetch: FetchEnd) -> None:
    subject = clock(start=3)
    assert not subject.idle(fetch)
    assert subject.tick(0, NOW) is None


def test_the_same_fetch_lets_an_idle_source_move_once() -> None:
    subject = clock()
    assert [subject.idle(head(0, NOW + passed)) for passed in (0, 0, 1, 1)] == [True, False, True, False]


def test_an_idle_tick_covers_what_lies_between_the_last_record_and_the_head() -> None:
    subject = clock()
    subject.read(0, NOW - 5_000)
    assert subject.idle(head(9))
    assert told(subject.tick(0, NOW)).next == 9


def test_a_fetch_that_was_sent_before_the_newest_arrival_says_nothing() -> None:
    subject = clock()
    subject.read(0, NOW)
    assert not subject.idle(head(1, NOW - 1))


def test_a_tick_neither_covers_an_open_group_nor_passes_its_time() -> None:
    subject = clock()
    for offset, arrived in enumerate((NOW, NOW + 1_000, NOW + 2_000)):
        subject.read(offset, arrived)
    group = OpenGroup(offset=1, arrived_ms=NOW + 1_000)
    found = told(subject.tick(0, NOW + 10_000, group))
    assert (found.next, found.upto) == (1, NOW + 1_000)
    assert told(subject.tick(0, NOW + 10_000)).next == 3


def test_records_that_are_read_again_are_an_error_of_the_caller() -> None:
    subject = clock()
    subject.read(4, NOW)
    with pytest.raises(ValueError, match="was read after 4"):
        subject.read(4, NOW)


def test_an_offset_is_committable_when_every_partition_has_acknowledged_a_tick_that_covers_it() -> None:
    subject = clock(start=2, partitions=3)
    subject.read(2, NOW)
    ticks = [told(subject.tick(partition, NOW)) for partition in range(3)]
    assert subject.committable == 2
    for partition in (0, 2):
        subject.acknowledged(partition, ticks[partition])
        assert subject.committable == 2
    subject.acknowledged(1, ticks[1])
    assert subject.committable == 3


steps = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(-20_000, 20_000)),
        st.tuples(st.just("idle"), st.integers(-20_000, 20_000)),
        st.tuples(st.just("tick"), st.integers(0, 1)),
    ),
    max_size=40,
)


@given(steps)
def test_ticks_never_go_back_leave_no_hole_and_count_every_event(taken: list[tuple[str, int]]) -> None:
    subject, offset, read = clock(partitions=2), 0, 0
    covered, before, counted = [0, 0], [0, 0], [0, 0]
    for passed, (kind, value) in enumerate(taken):
        if kind == "read":
            subject.read(offset, NOW + value)
            subject.gave(1)
            offset, read = offset + 1, read + 1
        elif kind == "idle":
            subject.idle(head(offset, NOW + value))
        elif (tick := subject.tick(value, NOW + passed)) is not None:
            assert tick.first == covered[value]
            assert tick.next >= tick.first
            assert tick.before >= before[value]
            assert tick.before <= NOW + passed - DELAY or tick.before == 0
            covered[value], before[value] = tick.next, tick.before
            counted[value] += tick.events
    last = subject.tick(1, NOW + 10**6)
    counted[1] += last.events if last else 0
    assert counted == [0, read]
