"""Bundles: closed by count, size or age, each partition for itself, in the order of what was added."""

from hypothesis import given
from hypothesis import strategies as st

from models.event import Event, Position
from models.ids import partition_of
from models.journal import Entry, Tick
from pipeline.journal.bundler import Bundler
from pipeline.journal.codec import AGE_MS_MAX, BYTES_MAX, EVENTS_MAX, decode, encode, pack


def tick(number: int) -> Tick:
    return Tick(source="s", first=number, next=number + 1, before=number)


def event(number: int, size: int) -> Event:
    place = Position("s", 0, 0, number)
    return Event(
        id=str(number), type="page_viewed", customer="c7", occurred_at=0, arrived_at=0, position=place,
        data={"url": "x" * size},
    )  # fmt: skip


def entries_of(bundler: Bundler, partition: int) -> list[Entry]:
    taken = bundler.take(partition)
    assert taken is not None
    return decode(encode(taken)).entries


def test_an_event_goes_to_the_partition_of_its_customer() -> None:
    bundler = Bundler("w", 8)
    assert bundler.add(event(0, 1), "c7", 0) == partition_of("c7", 8)
    taken = bundler.take(partition_of("c7", 8))
    assert taken is not None
    found = decode(encode(taken))
    assert (found.writer, found.entries) == ("w", [event(0, 1)])


def test_nothing_is_due_before_its_age_and_everything_at_it() -> None:
    bundler = Bundler("w", 1)
    assert not bundler.due(0, 10**9)
    bundler.put(tick(0), 0, 1_000)
    bundler.put(tick(1), 0, 1_040)
    assert not bundler.due(0, 1_000 + AGE_MS_MAX - 1)
    assert bundler.due(0, 1_000 + AGE_MS_MAX)


def test_age_begins_anew_after_a_bundle_was_taken() -> None:
    bundler = Bundler("w", 1)
    bundler.put(tick(0), 0, 1_000)
    bundler.take(0)
    bundler.put(tick(1), 0, 2_000)
    assert not bundler.due(0, 2_000)


def test_a_bundle_is_due_by_count_and_by_size() -> None:
    many, large = Bundler("w", 1), Bundler("w", 1)
    for number in range(EVENTS_MAX):
        assert not many.due(0, 0)
        many.put(tick(number), 0, 0)
    assert many.due(0, 0)
    large.put(event(0, BYTES_MAX), 0, 0)
    assert large.due(0, 0)


def test_a_partition_with_two_bundles_waiting_stops_the_reader() -> None:
    many, large = Bundler("w", 2), Bundler("w", 2)
    for number in range(2 * EVENTS_MAX):
        assert not many.full()
        many.put(tick(number), 1, 0)
    assert many.full()
    large.put(event(0, 2 * BYTES_MAX), 0, 0)
    assert large.full()


def test_an_entry_larger_than_a_bundle_has_one_of_its_own() -> None:
    bundler = Bundler("w", 1)
    wanted = [event(0, 10), event(1, BYTES_MAX + 1), event(2, 10)]
    for one in wanted:
        bundler.put(one, 0, 0)
    assert [entries_of(bundler, 0) for _ in wanted] == [[one] for one in wanted]


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, BYTES_MAX // 2)), min_size=4, max_size=16))
def test_every_entry_is_taken_once_in_order_and_no_bundle_is_too_large(added: list[tuple[int, int]]) -> None:
    bundler = Bundler("w", 2)
    wanted: list[list[Entry]] = [[], []]
    for number, (partition, size) in enumerate(added):
        bundler.put(event(number, size), partition, 0)
        wanted[partition].append(event(number, size))
    for partition in range(2):
        taken: list[Entry] = []
        while bundler.due(partition, AGE_MS_MAX):
            entries = entries_of(bundler, partition)
            assert 0 < len(entries) <= EVENTS_MAX
            assert sum(len(pack(entry)) for entry in entries) <= BYTES_MAX
            taken += entries
        assert taken == wanted[partition]
        assert bundler.take(partition) is None
    assert not bundler.waiting()
