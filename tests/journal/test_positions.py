"""The duplicate filter: an event is applied once, however often its record is written."""

from hypothesis import given
from hypothesis import strategies as st

from models.event import Position
from models.journal import SourceChanged
from pipeline.journal.watermark import SourceTable

PLACES = st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 30), st.integers(0, 2))


def test_an_event_of_a_record_that_was_written_twice_is_dropped() -> None:
    found = SourceTable()
    assert found.accept(Position("orders", 0, 0, 5))
    assert not found.accept(Position("orders", 0, 0, 5))


def test_several_events_of_one_record_are_told_apart_by_their_index() -> None:
    found = SourceTable()
    assert [found.accept(Position("orders", 0, 0, 5, index)) for index in (0, 1, 2)] == [True] * 3
    assert [found.accept(Position("orders", 0, 0, 5, index)) for index in (0, 1, 2)] == [False] * 3


def test_partitions_and_sources_have_positions_of_their_own() -> None:
    found = SourceTable()
    assert found.accept(Position("orders", 0, 0, 5))
    assert found.accept(Position("orders", 1, 0, 5))
    assert found.accept(Position("carts", 0, 0, 5))


def test_an_offset_of_a_new_epoch_is_new() -> None:
    found = SourceTable()
    assert found.accept(Position("orders", 0, 0, 900))
    assert found.accept(Position("orders", 0, 1, 0))


def test_a_source_that_never_joined_is_filtered_but_counts_for_no_watermark() -> None:
    found = SourceTable()
    found.change(SourceChanged(id="join", change="join", source="*"))
    assert found.accept(Position("orders", 0, 0, 5))
    [row] = [row for row in found.rows() if row.source == "orders"]
    assert row.feedback
    assert not found.is_joining(Position("orders"))


@given(st.lists(PLACES, max_size=40), st.data())
def test_a_writer_that_goes_back_any_distance_any_number_of_times_doubles_nothing(
    places: list[tuple[int, int, int, int]], data: st.DataObject
) -> None:
    written = [Position(f"s{source}", partition, 0, offset, index) for source, partition, offset, index in places]
    written = sorted(set(written), key=lambda one: (one.source, one.partition, one.offset, one.index))
    found, applied, at = SourceTable(), [], 0
    for _ in range(4):
        stop = data.draw(st.integers(at, len(written)))
        applied += [one for one in written[at:stop] if found.accept(one)]
        at = data.draw(st.integers(0, stop))
        found = SourceTable(found.rows())
    applied += [one for one in written[at:] if found.accept(one)]
    assert applied == written
