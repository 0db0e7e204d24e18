"""History in the order of its own times: the same whatever the files, partitions, steps and crashes."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from models.event import Event
from models.journal import Entry, Tick
from pipeline.intake.record import SourceRecord
from pipeline.journal.records_clock import IngestState, Input, RecordsIngest
from tests.journal.lines import INVOICES, NATIVE, T0, drain, line, lives, records, source, split, view

customers = st.sampled_from([f"c{n}" for n in range(12)])


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, object]]:
    """Page views in the order of time; a customer's views of one moment differ."""
    steps = draw(st.lists(st.tuples(customers, st.integers(0, 3)), max_size=40))
    at, rows = T0, []
    for number, (customer, step) in enumerate(steps):
        at += step * 1000
        rows.append(view(customer, at, id=str(number)))
    return rows


@st.composite
def invoices(draw: st.DrawFn) -> list[dict[str, object]]:
    """Invoice lines in the order of time; some invoices last into the next minute."""
    drawn = draw(st.lists(st.tuples(customers, st.integers(1, 3), st.integers(0, 2), st.booleans()), max_size=15))
    at, rows = T0, []
    for number, (customer, lines, step, slow) in enumerate(drawn):
        at += step * 60_000
        for sku in range(lines):
            at += 60_000 if slow and sku == 1 else 0
            rows.append(line(customer, at, f"i{number}", f"p{sku}"))
    return rows


def ids(entries: list[Entry]) -> list[str]:
    return [one.id for one in entries if isinstance(one, Event)]


@given(histories())
def test_one_file_and_eight_partitions_give_every_customer_the_same_life(rows: list[dict[str, object]]) -> None:
    one = RecordsIngest([source(records(rows))], 1, IngestState())
    eight = RecordsIngest([source(part) for part in split(rows, 8, "customer") if part], 8, IngestState())
    assert lives(drain(one)) == lives(drain(eight))


@given(invoices())
def test_groups_of_lines_are_the_same_in_one_file_and_in_eight_partitions(rows: list[dict[str, object]]) -> None:
    one = RecordsIngest([source(records(rows), INVOICES)], 1, IngestState())
    parts = [source(part, INVOICES) for part in split(rows, 8, "who") if part]
    assert lives(drain(one)) == lives(drain(RecordsIngest(parts, 8, IngestState())))


@given(histories(), st.integers(1, 7))
def test_the_size_of_a_step_changes_no_entry(rows: list[dict[str, object]], step: int) -> None:
    whole = RecordsIngest([source(records(rows))], 3, IngestState())
    pieces = RecordsIngest([source(records(rows))], 3, IngestState())
    assert drain(whole) == drain(pieces, step)


@settings(deadline=None)
@given(invoices(), histories(), st.lists(st.integers(1, 5), min_size=1, max_size=8))
def test_a_restart_after_any_step_goes_on_with_the_very_next_entry(
    lines: list[dict[str, object]], views: list[dict[str, object]], steps: list[int]
) -> None:
    def opened(state: IngestState) -> RecordsIngest:
        inputs = [source(records(lines, "a"), INVOICES, state), source(records(views, "b"), NATIVE, state)]
        return RecordsIngest(inputs, 2, state)

    undisturbed = drain(opened(IngestState()))
    state, found = IngestState(), [[], []]  # type: ignore[var-annotated]
    for step in steps:
        taken = opened(state).step(step)
        found = [kept + more for kept, more in zip(found, taken.entries, strict=True)]
        state = msgspec.json.decode(msgspec.json.encode(state), type=IngestState)
    rest = drain(opened(state))
    assert [kept + more for kept, more in zip(found, rest, strict=True)] == undisturbed


@given(histories())
def test_a_tick_stands_before_every_event_that_moves_time_on(rows: list[dict[str, object]]) -> None:
    for partition in drain(RecordsIngest([source(records(rows))], 3, IngestState())):
        ticked = 0
        for one in partition:
            if isinstance(one, Tick):
                assert one.before > ticked
                ticked = one.before
            elif isinstance(one, Event):
                assert one.arrived_at == ticked


@given(histories(), st.integers(1, 9))
def test_ticks_cover_the_merge_without_a_hole_and_count_their_events(rows: list[dict[str, object]], step: int) -> None:
    ingest = RecordsIngest([source(records(rows))], 2, IngestState())
    entries = drain(ingest, step)
    closing = ingest.advance(T0 + 10**9).entries
    for partition, last in zip(entries, closing, strict=True):
        covered, events = 0, 0
        for one in [*partition, *last]:
            if isinstance(one, Tick):
                assert (one.source, one.first, one.events) == ("*", covered, events)
                covered, events = one.next, 0
            else:
                events += 1
        assert covered == len(rows)
        assert events == 0


def test_at_one_time_the_order_is_source_then_partition_then_offset() -> None:
    inputs = [
        source(records([view("c", T0, id="b0"), view("c", T0, id="b1")], "b", 0)),
        source(records([view("c", T0, id="b2")], "b", 1)),
        source(records([view("c", T0, id="a0")], "a", 0)),
    ]
    [entries] = drain(RecordsIngest(inputs, 1, IngestState()))
    found = [
        (one.position.source, one.position.partition, one.position.offset) for one in entries if type(one) is Event
    ]
    assert found == [("b", 0, 0), ("b", 0, 1), ("b", 1, 0), ("a", 0, 0)]


def test_a_record_whose_time_goes_back_stands_at_the_time_that_was_reached() -> None:
    rows = [view("c", T0 + 5000), view("c", T0)]
    [entries] = drain(RecordsIngest([source(records(rows))], 1, IngestState()))
    events = [one for one in entries if isinstance(one, Event)]
    assert [(one.occurred_at - T0, one.arrived_at - T0) for one in events] == [(5000, 5000), (0, 5000)]


def test_a_record_without_a_time_is_one_dead_letter_and_the_next_is_read() -> None:
    rows: list[dict[str, object] | bytes] = [
        view("c", T0),
        {"type": "page_viewed", "customer": "c"},
        b"not json",
        view("c", T0 + 1),
    ]
    ingest = RecordsIngest([source(records(rows))], 1, IngestState())
    found = ingest.step(10)
    assert [letter.offset for letter in found.dead_letters] == [1, 2]
    assert [letter.at for letter in found.dead_letters] == [T0, T0]
    assert len(ids(found.entries[0])) == 2
    assert (ingest.state.events, ingest.state.dead, ingest.state.records) == (2, 2, 4)


def test_a_bad_line_makes_dead_letters_of_its_whole_group_and_of_no_other() -> None:
    bad = {**line("c", T0, "i1", "p2"), "price": "free"}
    rows = [line("c", T0, "i0", "p0"), line("c", T0, "i1", "p1"), bad, line("c", T0 + 1, "i2", "p3")]
    found = RecordsIngest([source(records(rows), INVOICES)], 1, IngestState()).step(10)
    assert [(letter.offset, letter.path) for letter in found.dead_letters] == [
        (1, "$.items[1].price"),
        (2, "$.items[1].price"),
    ]
    assert [one.data["order_id"] for one in found.entries[0] if isinstance(one, Event)] == ["i0", "i2"]


def test_a_group_is_never_cut_by_the_end_of_a_step() -> None:
    rows = [line("c", T0, "i0", f"p{n}") for n in range(5)]
    ingest = RecordsIngest([source(records(rows), INVOICES)], 1, IngestState())
    found = ingest.step(1)
    assert found.records == 5
    assert [len(one.data["items"]) for one in found.entries[0] if isinstance(one, Event)] == [5]


def test_until_takes_only_what_stands_before_it() -> None:
    ingest = RecordsIngest([source(records([view("c", T0), view("c", T0 + 10)]))], 1, IngestState())
    assert ingest.step(10, until_ms=T0 + 10).records == 1
    assert ingest.next_time == T0 + 10


def test_advance_ticks_every_partition_once_and_never_back() -> None:
    ingest = RecordsIngest([source(records([view("c", T0)]))], 3, IngestState())
    ingest.step(10)
    first = ingest.advance(T0 + 1000)
    assert [[type(one) for one in part] for part in first.entries] == [[Tick]] * 3
    assert not any(ingest.advance(T0 + 500).entries)


class Feed:
    """An input that is filled while it is read, as a topic is."""

    def __init__(self, mapper_of: Input):
        self.waiting: list[SourceRecord] = []
        self.ended = False
        self.input = Input(source="s", partition=1, records=self, mapper=mapper_of.mapper, finished=lambda: self.ended)

    def __iter__(self) -> "Feed":
        return self

    def __next__(self) -> SourceRecord:
        if not self.waiting:
            raise StopIteration
        return self.waiting.pop(0)


def test_the_merge_waits_for_an_input_that_has_nothing_yet() -> None:
    feed = Feed(source([]))
    ingest = RecordsIngest([source(records([view("c", T0 + 5)])), feed.input], 1, IngestState())
    assert ingest.step(10).records == 0
    assert not ingest.refill()
    feed.waiting = records([view("c", T0, id="early")], "s", 1)
    assert ingest.refill()
    assert ingest.step(1).entries[0][0].before == T0  # type: ignore[union-attr]
    feed.ended = True
    assert ingest.refill()
    assert ingest.step(10).done


def test_a_group_waits_for_lines_that_are_not_there_yet() -> None:
    feed = Feed(source([], INVOICES))
    lines = records([line("c", T0, "i0", "p0"), line("c", T0, "i0", "p1")], "s", 1)
    feed.waiting = lines[:1]
    ingest = RecordsIngest([feed.input], 1, IngestState())
    assert ingest.step(10).records == 0
    feed.waiting, feed.ended = lines[1:], True
    assert ingest.refill()
    found = ingest.step(10)
    assert [len(one.data["items"]) for one in found.entries[0] if isinstance(one, Event)] == [2]


def test_the_lines_beyond_the_longest_group_are_dead_letters_with_the_reason() -> None:
    rows = [line("c", T0, "i0", f"p{n}") for n in range(2_003)]
    ingest = RecordsIngest([source(records(rows), INVOICES)], 1, IngestState())
    found = ingest.step(10_000)
    assert [letter.reason for letter in found.dead_letters] == ["a group of over 2000 lines"] * 3
    assert [len(one.data["items"]) for one in found.entries[0] if isinstance(one, Event)] == [2_000]
