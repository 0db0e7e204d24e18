"""Mapping files at work: paths, conditions, several events of one record, lines that are grouped."""

from typing import Any

import orjson
import pytest

from models.dead_letter import DeadLetter
from models.event import Event
from models.ids import event_id
from pipeline.errors import UsageError
from pipeline.intake.mapper import Mapper
from tests.intake.build import T0, event, letter, mapper, record

VIEW = {"type": "product_viewed", "fields": {"product_id": "sku"}}
LINES: dict[str, Any] = {
    "id": ["no"],
    "group": {"by": ["no", "who"], "items": {"product_id": "sku", "quantity": {"path": "n", "absolute": True}, "price": "price"}},
    "events": [
        {"type": "order_cancelled", "when": {"no": "C*"}, "fields": {"order_id": "no"}},
        {"type": "order_placed", "fields": {"order_id": "no"}},
    ],
}  # fmt: skip


def one(fields: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """The data of the one event that a record gives under a mapping of these fields."""
    spec = {"type": "product_viewed", "fields": fields}
    return event(mapper(events=[spec]).feed(record({"who": "c", "at": T0, **said}))).data


@pytest.mark.parametrize(
    ("fields", "said", "data"),
    [
        ({"product_id": "a.b[1].c"}, {"a": {"b": [0, {"c": "x"}]}}, {"product_id": "x"}),
        ({"product_id": "a.b[5].c"}, {"a": {"b": [0]}}, {}),
        ({"product_id": "a.b"}, {"a": "text"}, {}),
        ({"product_id": "sku"}, {"sku": "0123"}, {"product_id": "0123"}),
        ({"brand": "brand"}, {"brand": ""}, {}),
        ({"price": "price"}, {"price": "33.20"}, {"price": 3320}),
        ({"time_on_page": "ms"}, {"ms": "1500"}, {"time_on_page": 1500}),
        ({"brand": {"const": "own"}}, {}, {"brand": "own"}),
        ({"device": {"path": "d", "map": {"1": "phone"}}}, {"d": 1}, {"device": "phone"}),
        ({"device": {"path": "d", "map": {"1": "phone"}}}, {"d": "tablet"}, {"device": "tablet"}),
        ({"brand": {"path": "b", "strip": " Ltd"}}, {"b": "Acme Ltd"}, {"brand": "Acme"}),
    ],
)
def test_a_field_is_read_as_the_mapping_says(fields: Any, said: Any, data: Any) -> None:
    assert one(fields, said) == data


def test_a_list_of_lines_is_read_line_by_line() -> None:
    spec = {
        "type": "cart_updated",
        "fields": {"items": {"path": "cart.lines", "item": {"product_id": "sku", "price": "p"}}},
    }
    said = {"who": "c", "at": T0, "cart": {"lines": [{"sku": 1, "p": "2.00"}, {"sku": 2}]}}
    found = event(mapper(events=[spec]).feed(record(said)))
    assert found.data == {"items": [{"product_id": "1", "price": 200}, {"product_id": "2"}]}


def test_one_record_gives_every_event_whose_condition_holds_each_with_its_own_id() -> None:
    events = [VIEW, {"type": "cart_item_added", "when": {"in_cart": True}, "fields": {"product_id": "sku"}}]
    found = mapper(events=events, id=["n"]).feed(record({"who": "c", "at": T0, "sku": "p", "in_cart": True, "n": 5}))
    assert [one.type for one in found if isinstance(one, Event)] == ["product_viewed", "cart_item_added"]
    assert [one.position.index for one in found if isinstance(one, Event)] == [0, 1]
    assert [one.id for one in found if isinstance(one, Event)] == [
        event_id("s", "product_viewed", "5", 0),
        event_id("s", "cart_item_added", "5", 1),
    ]


def test_a_record_that_fits_no_event_is_a_dead_letter() -> None:
    events = [{**VIEW, "when": {"kind": "view"}}]
    assert "no event of the mapping fits" in letter(mapper(events=events).feed(record({"who": "c", "at": T0}))).reason


@pytest.mark.parametrize(
    ("said", "reason", "path"),
    [
        ({"at": T0}, "no customer", "$.customer"),
        ({"who": "", "at": T0}, "no customer", "$.customer"),
        ({"who": {"id": 1}, "at": T0}, "got `object`", "$.customer"),
        ({"who": "a\tb", "at": T0}, "control characters", "$.customer"),
        ({"who": "c"}, "no time", "$.at"),
        ({"who": "c", "at": "noon"}, "'noon' is not a time", "$.at"),
        ({"who": "c", "at": 253_370_764_800_000}, "outside 1995 to 2100", "$.at"),
        ({"who": "c", "at": "nan"}, "not a time", "$.at"),
        ({"who": "c", "at": "1e999"}, "not a time", "$.at"),
        ({"who": "c", "at": [T0]}, "not a time", "$.at"),
        ({"who": "c", "at": T0, "price": "1,5"}, "not an amount", "$.price"),
        ({"who": "c", "at": T0, "sku": [1]}, "got `array`", "$.product_id"),
    ],
)
def test_what_a_mapping_cannot_use_is_a_dead_letter_with_the_path_and_the_next_is_processed(
    said: dict[str, Any], reason: str, path: str
) -> None:
    spec = {"type": "product_viewed", "fields": {"product_id": "sku", "price": "price"}}
    subject = mapper(events=[spec])
    found = letter(subject.feed(record(said)))
    assert reason in found.reason
    assert found.path == path
    assert found.value == orjson.dumps(said)
    assert event(subject.feed(record({"who": "c", "at": T0}))).customer == "c"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"format": "epoch_ms"}, T0),
        ({"format": "epoch_ms"}, str(T0)),
        ({"format": "epoch_s"}, T0 / 1000),
        ({"format": "iso"}, "2023-11-14T22:13:20Z"),
        ({"format": "iso", "zone": "Europe/Paris"}, "2023-11-14 23:13:20"),
        ({"format": "%d/%m/%Y %H:%M:%S", "zone": "Asia/Tokyo"}, "15/11/2023 07:13:20"),
        ({"format": "%Y-%m-%d %H:%M:%S UTC"}, "2023-11-14 22:13:20 UTC"),
    ],
)
def test_a_time_is_read_in_its_format_and_zone(spec: dict[str, Any], said: Any) -> None:
    subject = mapper(events=[VIEW], time={"path": "at", **spec})
    assert event(subject.feed(record({"who": "c", "at": said}))).occurred_at == T0


def lines(*rows: tuple[str, str, str, int]) -> list[dict[str, Any]]:
    return [{"no": no, "who": who, "at": T0, "sku": sku, "n": n, "price": "2.50"} for no, who, sku, n in rows]


def feed(subject: Mapper, rows: list[dict[str, Any]]) -> list[Event | DeadLetter]:
    found: list[Event | DeadLetter] = []
    for offset, row in enumerate(rows):
        found += subject.feed(record(row, offset))
    return found


def test_adjacent_lines_of_one_key_are_one_event_when_the_next_key_comes() -> None:
    subject = mapper(**LINES)
    found = feed(subject, lines(("1", "c", "a", 1), ("1", "c", "a", 1), ("1", "c", "b", 2), ("2", "d", "a", 1)))
    order = event(found)
    assert [item["product_id"] for item in order.data["items"]] == ["a", "a", "b"]
    assert order.data["items"][0] == {"product_id": "a", "quantity": 1, "price": 250}
    assert order.position.offset == 0
    assert [one.customer for one in subject.flush() if isinstance(one, Event)] == ["d"]


def test_an_open_group_says_from_where_it_must_be_read_again() -> None:
    subject = mapper(**LINES)
    feed(subject, lines(("1", "c", "a", 1), ("2", "c", "a", 1), ("2", "c", "b", 1)))
    assert (subject.open_from, subject.open_time) == (1, T0 + 60_000)
    subject.flush()
    assert (subject.open_from, subject.open_time) == (None, None)


def test_the_lines_of_a_cancellation_are_a_cancellation_with_positive_quantities() -> None:
    subject = mapper(**LINES)
    feed(subject, lines(("C1", "c", "a", -3)))
    found = event(subject.flush())
    assert found.type == "order_cancelled"
    assert found.data == {"order_id": "C1", "items": [{"product_id": "a", "quantity": 3, "price": 250}]}


def test_a_line_without_a_customer_is_a_dead_letter_of_its_own_and_closes_the_group() -> None:
    subject = mapper(**LINES)
    first, second = feed(subject, [*lines(("1", "c", "a", 1)), {"no": "1", "at": T0}])
    assert isinstance(first, Event)
    assert isinstance(second, DeadLetter)
    assert (second.reason, second.offset) == ("no customer", 1)


def test_a_bad_line_in_a_group_makes_dead_letters_of_all_its_lines_and_the_next_group_is_read() -> None:
    subject = mapper(**LINES)
    rows = lines(("1", "c", "a", 1), ("1", "c", "b", 1), ("2", "c", "a", 1))
    rows[1]["price"] = "free"
    found = feed(subject, rows)
    assert [(one.offset, one.path) for one in found if isinstance(one, DeadLetter)] == [
        (0, "$.items[1].price"),
        (1, "$.items[1].price"),
    ]
    assert event(subject.flush()).data["order_id"] == "2"


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([{"type": "product_view", "fields": {}}], "unknown event 'product_view'; did you mean product_viewed?"),
        ([{"type": "product_viewed", "fields": {"pricee": "p"}}], "unknown field 'pricee'; did you mean price?"),
    ],
)
def test_a_mapping_to_an_event_or_field_that_nothing_reads_is_refused(events: Any, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        mapper(events=events)
    assert words in str(refused.value)


def test_a_mapping_may_give_a_declared_event() -> None:
    events = [{"type": "form_downloaded", "fields": {"form": "f", "fee": "fee"}}]
    assert event(mapper(events=events).feed(record({"who": "c", "at": T0, "f": "tax", "fee": "1.5"}))).data == {
        "form": "tax",
        "fee": 150,
    }
