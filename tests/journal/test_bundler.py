"""Bundles: closed by count, size or age, each partition for itself, in the order of what was added."""

from hypothesis import given
from hypothesis import strategies as st

from models.ids import partition_of
from models.journal import Entry, Tick
from pipeline.journal.bundler import Bundler
from pipeline.journal.codec import AGE_MS_MAX, BYTES_MAX, EVENTS_MAX


def tick(number: int) -> Tick:
    return Tick(source="s", first=number, next=number + 1, before=number)


def test_an_event_goes_to_the_partition_of_its_customer() -> None:
    bundler = Bundler("w", 8)
    assert bundler.add(tick(0), "c7", 0) == partition_of("c7", 8)
    taken = bundler.take(partition_of("c7", 8))
    assert taken is not None
    assert (taken.writer, taken.entries) == ("w", [tick(0)])


def test_nothing_is_due_before_its_age_and_everything_at_it() -> None:
    bundler = Bundler("w", 1)
    assert not bundler.due(0, 10**9)
    bundler.put(tick(0), 0, 1_000)
    bundler.put(tick(1), 0, 1_040)
    assert not bundler.due(0, 1_000 + AGE_MS_MAX - 1)
    assert bundler.due(0, 1_000 + AGE_MS_MAX)


def test_a_bundle_is_due_by_count_and_by_size() -> None:
    many, large = Bundler("w", 1), Bundler("w", 1)
    for number in range(EVENTS_MAX):
        assert not many.due(0, 0)
        many.put(tick(number), 0, 0, size=1)
    assert many.due(0, 0)
    large.put(tick(0), 0, 0, size=BYTES_MAX)
    assert large.due(0, 0)


def test_a_partition_with_two_bundles_waiting_stops_the_reader() -> None:
    bundler = Bundler("w", 2)
    for number in range(2 * EVENTS_MAX):
        assert not bundler.full()
        bundler.put(tick(number), 1, 0)
    assert bundler.full()


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, BYTES_MAX // 3)), max_size=40))
def test_every_entry_is_taken_once_in_order_and_no_bundle_is_too_large(added: list[tuple[int, int]]) -> None:
    bundler = Bundler("w", 3)
    wanted: list[list[Entry]] = [[], [], []]
    sizes: dict[Entry, int] = {}
    for number, (partition, size) in enumerate(added):
        bundler.put(tick(number), partition, 0, size)
        wanted[partition].append(tick(number))
        sizes[tick(number)] = size
    for partition in range(3):
        taken: list[Entry] = []
        while (bundle := bundler.take(partition)) is not None:
            assert 0 < len(bundle.entries) <= EVENTS_MAX
            assert len(bundle.entries) == 1 or sum(map(sizes.__getitem__, bundle.entries)) <= BYTES_MAX
            taken += bundle.entries
        assert taken == wanted[partition]
    assert not bundler.waiting()
