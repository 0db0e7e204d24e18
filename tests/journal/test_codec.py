"""The journal's messages as bytes: readable by a person, the same after a round trip, refused with a reason."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.event import Event, Position
from models.journal import Bundle, Entry, PlanActivated, ScenarioSwitched, SourceChanged, StateVersionSet, Tick
from pipeline.journal.codec import JournalError, decode, encode

texts, numbers = st.text(max_size=20), st.integers(0, 2**53)
data: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    texts,
    st.none() | st.booleans() | numbers | texts | st.lists(st.dictionaries(texts, numbers, max_size=2), max_size=2),
    max_size=4,
)
positions = st.builds(Position, texts, numbers, numbers, numbers, numbers)
entries: st.SearchStrategy[Entry] = st.one_of(
    st.builds(Event, id=texts, type=texts, customer=texts, occurred_at=numbers, arrived_at=numbers, position=positions, data=data, depth=numbers),
    st.builds(Tick, source=texts, partition=numbers, epoch=numbers, first=numbers, next=numbers, events=numbers, before=numbers, upto=numbers),
    st.builds(PlanActivated, id=texts, plan=texts, at=numbers),
    st.builds(ScenarioSwitched, id=texts, scenario=texts, state=texts, at=numbers),
    st.builds(SourceChanged, id=texts, change=texts, source=texts, partition=numbers, epoch=numbers, first=numbers, feedback=st.booleans()),
    st.builds(StateVersionSet, id=texts, version=numbers),
)  # fmt: skip


@given(texts, st.lists(entries, max_size=5))
def test_a_bundle_is_the_same_after_a_round_trip(writer: str, found: list[Entry]) -> None:
    bundle = Bundle(writer=writer, entries=found)
    assert decode(encode(bundle)) == bundle


@given(st.lists(entries, max_size=3))
def test_a_message_is_json_that_names_the_kind_of_every_entry(found: list[Entry]) -> None:
    told = orjson.loads(encode(Bundle(writer="w", entries=found)))
    assert told["writer"] == "w"
    assert [one["kind"] for one in told["entries"]] == [type(one).__struct_config__.tag for one in found]


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (b"{", "truncated"),
        (b"[]", "Expected `object`"),
        (b'{"writer":"w","entries":[{"kind":"new"}]}', "$.entries[0].kind"),
        (b'{"writer":"w","entries":[{"kind":"tick","source":"s"}]}', "$.entries[0]"),
        (b"\xff", "malformed"),
    ],
)
def test_a_message_that_is_not_ours_is_refused_with_the_place(value: bytes, place: str) -> None:
    with pytest.raises(JournalError, match="cannot be read") as refused:
        decode(value)
    assert place in str(refused.value)
