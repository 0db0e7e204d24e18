"""Native records: what is read, and that no record, however bad, is more than one dead letter."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.event_types import PAYLOADS
from models.ids import content_event_id, event_id
from models.money import to_decimal
from pipeline.intake.native import Fault
from tests.intake.build import T0, event, letter, native, native_mapper, record

NESTED = b"[" * 100_000 + b"]" * 100_000
DIGITS = b"9" * 5_000
HEAD = b'{"type":"page_viewed","customer":"c","occurred_at":1700000000000,'
BAD: list[tuple[str, bytes | dict[str, Any] | None, str, str]] = [
    ("not JSON", b"{", "not JSON", ""),
    ("empty", b"", "not JSON", ""),
    ("no value at all", None, "without a value", ""),
    ("not UTF-8", b"\xff\xfe", "not JSON", ""),
    ("a list", b"[]", "Expected `object`", "$"),
    ("a number", b"1", "Expected `object`", "$"),
    ("no type", {"customer": "c", "occurred_at": T0}, "required field `type`", "$"),
    ("an unknown type", native(type="sold_out"), "'sold_out'", "$.type"),
    ("a derived type", native(type="cart_changed"), "'cart_changed'", "$.type"),
    ("no customer", {"type": "page_viewed", "occurred_at": T0}, "required field `customer`", "$"),
    ("an empty customer", native(customer=""), "no customer", "$.customer"),
    ("a customer of another type", native(customer=["c"]), "got `array`", "$.customer"),
    ("a fraction as customer", native(customer=1.5), "got `float`", "$.customer"),
    ("a long customer", native(customer="é" * 129), "over 256 bytes", "$.customer"),
    ("control characters in the customer", native(customer="a\nb"), "control characters", "$.customer"),
    ("half a surrogate", HEAD.replace(b'"c"', b'"\\ud800"') + b'"url":"u"}', "not JSON", ""),
    ("no time", {"type": "page_viewed", "customer": "c"}, "required field `occurred_at`", "$"),
    ("a time that is null", native(occurred_at=None), "got `null`", "$.occurred_at"),
    ("a time that is a list", native(occurred_at=[T0]), "got `array`", "$.occurred_at"),
    ("a time that is true", native(occurred_at=True), "got `bool`", "$.occurred_at"),
    ("a time in words", native(occurred_at="yesterday"), "not a time", "$.occurred_at"),
    ("the year 9999", native(occurred_at="9999-12-31T00:00:00Z"), "outside 1995 to 2100", "$.occurred_at"),
    ("the year 1970", native(occurred_at=0), "outside 1995 to 2100", "$.occurred_at"),
    ("a huge time", native(occurred_at=1e300), "outside 1995 to 2100", "$.occurred_at"),
    ("NaN money as JSON", HEAD + b'"price":NaN}', "not JSON", ""),
    ("NaN money as text", native(price="NaN"), "not a finite amount", "$.price"),
    ("infinite money", native(price="-Infinity"), "not a finite amount", "$.price"),
    ("money in words", native(price="free"), "not an amount", "$.price"),
    ("money out of range", native(price=1e15), "out of range", "$.price"),
    ("money that overflows decimals", native(price="1e999999"), "out of range", "$.price"),
    ("money of 5,000 digits", HEAD + b'"price":' + DIGITS + b"}", "out of range", "$.price"),
    ("money that is true", native(price=True), "got `bool`", "$.price"),
    ("no currency", native(price=1, currency="euro"), "not a currency", "$.currency"),
    ("a number as text field", native(url=5), "got `int`", "$.url"),
    ("a count beyond 64 bits", HEAD + b'"time_on_page":' + b"9" * 30 + b"}", "Expected `int` <=", "$.time_on_page"),
    ("deep nesting in a field", HEAD + b'"zzz":' + NESTED + b"}", "nested too deeply", "$"),
    ("a negative quantity", native(type="cart_updated", items=[{"product_id": "p", "quantity": -1}]), ">= 0", "$.items[0].quantity"),
    ("a huge quantity", native(type="cart_updated", items=[{"product_id": "p", "quantity": 10**9}]), "<=", "$.items[0].quantity"),
    ("a bad price in a line", native(type="cart_updated", items=[{"product_id": 1}, {"product_id": 2, "price": "x"}]), "not an amount", "$.items[1].price"),
    ("an order without its id", native(type="order_placed"), "required field `order_id`", "$"),
    ("a declared time in 9999", native(type="form_downloaded", signed_at="9999-01-01"), "outside 1995", "$.signed_at"),
    ("an attribute beyond 64 bits", b'{"type":"customer_updated","customer":"c","occurred_at":1700000000000,"attributes":{"a":' + b"9" * 40 + b"}}", "out of range", "$.attributes.a"),
    ("an attribute in deep nests", native(type="customer_updated", attributes={"a": [[[[[[1]]]]]]}), "nested too deeply", "$.attributes.a"),
    ("10 MB", b'{"a":"' + b"x" * 10_000_000 + b'"}', "over 1048576 bytes", ""),
]  # fmt: skip


@pytest.mark.parametrize(("value", "reason", "path"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_bad_record_is_one_dead_letter_with_reason_and_path_and_the_next_is_processed(
    value: bytes | dict[str, Any] | None, reason: str, path: str
) -> None:
    mapper, bad = native_mapper(), record(value, offset=7)
    found = letter(mapper.feed(bad))
    assert reason in found.reason
    assert found.path == path
    assert (found.stage, found.source, found.offset) == ("intake", "s", 7)
    assert (found.key, found.value, found.headers) == (bad.key, bad.value, bad.headers)
    assert event(mapper.feed(record(native(id="next"), offset=8))).position.offset == 8


@pytest.mark.parametrize("value", [row[1] for row in BAD], ids=[row[0] for row in BAD])
def test_a_bad_record_has_a_time_or_a_fault_and_never_another_error(value: bytes | dict[str, Any] | None) -> None:
    try:
        assert native_mapper().time_of(record(value)) > 0
    except Fault as fault:
        assert fault.reason


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(sorted(PAYLOADS)),
    st.dictionaries(
        st.sampled_from(
            ["customer", "occurred_at", "id", "items", "price", "total", "attributes", "currency", "quantity"]
        ),
        json_values,
    ),
)
def test_whatever_a_record_says_it_is_an_event_that_a_state_can_keep_or_a_dead_letter(
    kind: str, fields: dict[str, Any]
) -> None:
    value = json.dumps(native(type=kind, order_id="o", product_id="p", **{}) | fields).encode("utf-8", "surrogatepass")
    for one in native_mapper().feed(record(value)):
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(one))["kind" if hasattr(one, "id") else "stage"]


@given(st.binary(max_size=200))
def test_no_bytes_stop_the_mapper(value: bytes) -> None:
    assert len(native_mapper().feed(record(value))) == 1


@given(st.decimals(min_value=-1_000_000, max_value=1_000_000, places=2))
def test_an_amount_survives_as_text_and_as_a_json_number(amount: Decimal) -> None:
    for said in (str(amount), float(amount)):
        found = event(native_mapper().feed(record(native(price=said))))
        assert to_decimal(found.data["price"], "EUR") == amount


@pytest.mark.parametrize(
    ("said", "currency", "minor"),
    [("19.99", "EUR", 1999), (1250, "JPY", 1250), ("1.234", "KWD", 1234), ("2.50", "jpy", 2), (0.1, "usd", 10)],
)
def test_amounts_are_minor_units_of_the_records_currency(said: object, currency: str, minor: int) -> None:
    found = event(native_mapper().feed(record(native(price=said, currency=currency))))
    assert (found.data["price"], found.data["currency"]) == (minor, currency.upper())


@given(st.datetimes(min_value=datetime(1995, 1, 2), max_value=datetime(2099, 12, 31)))
def test_a_time_is_read_from_iso_seconds_and_milliseconds(moment: datetime) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    seconds = int(moment.timestamp())
    for said in (moment.isoformat(), moment.isoformat().replace("+00:00", "Z"), seconds, seconds * 1000):
        if isinstance(said, str) or abs(seconds) < 1e11:
            assert event(native_mapper().feed(record(native(occurred_at=said)))).occurred_at == seconds * 1000


def test_a_record_of_the_future_keeps_its_claim_and_counts_from_its_arrival() -> None:
    found = event(native_mapper().feed(record(native(occurred_at=T0 + 10**9))))
    assert (found.occurred_at, found.arrived_at, found.at) == (T0 + 10**9, T0 + 60_000, T0 + 60_000)


def test_a_number_as_customer_or_product_is_its_text() -> None:
    found = event(native_mapper().feed(record(native(customer=42, product_id=7, session_id=8))))
    assert (found.customer, found.data) == ("42", {"product_id": "7", "session_id": "8"})


def test_fields_that_are_absent_or_null_are_absent_in_the_event() -> None:
    items = [{"product_id": "p", "price": None}, {"product_id": "q", "quantity": 2, "size": "XL"}]
    found = event(native_mapper().feed(record(native(type="cart_updated", items=items, url=None, gift=True))))
    assert found.data == {"items": [{"product_id": "p"}, {"product_id": "q", "quantity": 2}]}


def test_a_declared_event_keeps_its_declared_fields_with_their_units() -> None:
    fields = {"form": "tax", "fee": "1.50", "signed_at": "2024-01-01T00:00:00+01:00", "n": 3, "extra": 1}
    found = event(native_mapper().feed(record(native(type="form_downloaded", **fields))))
    assert found.data == {"form": "tax", "fee": 150, "signed_at": 1_704_063_600_000, "n": 3}


def test_an_event_is_named_by_its_source_id_or_else_by_its_content_never_by_its_offset() -> None:
    named, bare = native(id="e1"), native()
    mapper = native_mapper()
    assert (
        event(mapper.feed(record(named, 1))).id
        == event(mapper.feed(record(named, 9))).id
        == event_id("s", "page_viewed", "e1")
    )
    assert event(mapper.feed(record(bare, 2))).id == content_event_id("s", orjson.dumps(bare))
