"""The built-in mappings over real store data, against a naive reading of the same files."""

import csv
import gzip
from collections import Counter
from datetime import datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson
import pytest

from models.dead_letter import DeadLetter
from models.event import Event
from models.ids import content_event_id
from pipeline.intake.history import file_source, records_of
from pipeline.intake.mapper import Mapper, validator_for
from pipeline.intake.mapping import load_mapping
from pipeline.intake.record import SourceRecord

DATA = Path(__file__).parents[2] / "../shared/data"
CLICKS, INVOICES = DATA / "rees46-2019-10-01.csv.gz", DATA / "uci-online-retail.csv.gz"
PURCHASES = DATA / "cdnow.txt.gz"
CLICK = {
    "event_time": "2019-10-01 00:00:00 UTC", "event_type": "cart", "product_id": "5100816", "category_id": "1",
    "category_code": "", "brand": "xiaomi", "price": "29.51", "user_id": "550121407", "user_session": "s",
}  # fmt: skip
INVOICE = {
    "InvoiceNo": "536365", "StockCode": "85123A", "Description": "HEART", "Quantity": "6",
    "InvoiceDate": "2010-12-01 08:26:00", "UnitPrice": "2.55", "CustomerID": "17850.0", "Country": "United Kingdom",
}  # fmt: skip
needs_clicks = pytest.mark.skipif(not CLICKS.exists(), reason=f"the real store data is not at {CLICKS}")
needs_invoices = pytest.mark.skipif(not INVOICES.exists(), reason=f"the real store data is not at {INVOICES}")
needs_purchases = pytest.mark.skipif(not PURCHASES.exists(), reason=f"the real store data is not at {PURCHASES}")


def run(name: str, rows: list[dict[str, str]]) -> list[Event | DeadLetter]:
    mapper = Mapper(load_mapping(name), name, validator_for("EUR"))
    found: list[Event | DeadLetter] = []
    for offset, row in enumerate(rows):
        found += mapper.feed(SourceRecord(source=name, offset=offset, value=orjson.dumps(row), fields=dict(row)))
    return [*found, *mapper.flush()]


@cache
def mapped(path: Path, name: str) -> tuple[list[Event], list[DeadLetter]]:
    mapper = Mapper(load_mapping(name), name, validator_for("EUR"))
    events: list[Event] = []
    letters: list[DeadLetter] = []
    for record in records_of(file_source(path, mapper.spec), mapper):
        for one in mapper.feed(record):
            events.append(one) if isinstance(one, Event) else letters.append(one)
    for one in mapper.flush():
        assert isinstance(one, Event)
        events.append(one)
    return events, letters


@cache
def rows_of(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_click_into_the_cart_is_one_article_at_its_price() -> None:
    [found] = run("rees46", [CLICK])
    assert isinstance(found, Event)
    assert (found.type, found.customer, found.occurred_at) == ("cart_item_added", "550121407", 1_569_888_000_000)
    assert found.data == {"product_id": "5100816", "brand": "xiaomi", "price": 2951, "session_id": "s"}


def test_a_purchase_is_an_order_of_one_article_named_by_its_content() -> None:
    first, again, other = run(
        "rees46", [{**CLICK, "event_type": "purchase", "price": price} for price in ("1.20", "1.20", "3")]
    )
    assert isinstance(first, Event)
    assert isinstance(again, Event)
    assert isinstance(other, Event)
    assert first.type == "order_placed"
    assert first.data["total"] == 120
    assert first.data["items"] == [{"product_id": "5100816", "brand": "xiaomi", "price": 120}]
    assert (first.id, first.data["order_id"]) == (again.id, again.data["order_id"])
    assert first.data["order_id"] != other.data["order_id"]


def test_an_unknown_kind_of_click_is_a_dead_letter() -> None:
    [found] = run("rees46", [{**CLICK, "event_type": "remove_from_cart"}])
    assert isinstance(found, DeadLetter)


@needs_clicks
@pytest.mark.data
def test_every_row_of_the_clickstream_is_its_event() -> None:
    events, letters = mapped(CLICKS, "rees46")
    said = {"view": "product_viewed", "cart": "cart_item_added", "purchase": "order_placed"}
    assert [(one.type, one.customer) for one in events] == [
        (said[row["event_type"]], row["user_id"]) for row in rows_of(CLICKS)
    ]
    assert letters == []
    assert len(events) == 17_435


@needs_clicks
@pytest.mark.data
def test_the_five_rows_that_are_there_twice_have_the_id_of_their_twin() -> None:
    events, _ = mapped(CLICKS, "rees46")
    assert sum(count - 1 for count in Counter(one.id for one in events).values()) == 5


@needs_clicks
@pytest.mark.data
def test_a_row_published_to_a_topic_has_the_id_that_it_has_in_the_file() -> None:
    events, _ = mapped(CLICKS, "rees46")
    # One row of the file has no session column: there a producer would publish what the row has.
    whole = [(event, row) for event, row in zip(events, rows_of(CLICKS), strict=True) if None not in row.values()]
    assert len(whole) >= 17_434
    assert all(event.id == content_event_id("rees46", orjson.dumps(row)) for event, row in whole)


def test_adjacent_invoice_lines_are_one_order_in_pounds_at_the_stores_local_time() -> None:
    [winter] = run("uci-retail", [INVOICE, {**INVOICE, "StockCode": "71053", "UnitPrice": "3.39"}])
    assert isinstance(winter, Event)
    assert (winter.type, winter.customer, winter.occurred_at) == ("order_placed", "17850", 1_291_191_960_000)
    assert winter.data == {
        "order_id": "536365",
        "currency": "GBP",
        "items": [
            {"product_id": "85123A", "name": "HEART", "quantity": 6, "price": 255},
            {"product_id": "71053", "name": "HEART", "quantity": 6, "price": 339},
        ],
    }
    [summer] = run("uci-retail", [{**INVOICE, "InvoiceDate": "2011-07-01 08:26:00"}])
    assert isinstance(summer, Event)
    assert summer.occurred_at == 1_309_505_160_000  # 07:26 in UTC: London is an hour ahead


def test_an_invoice_number_that_begins_with_c_is_a_cancellation() -> None:
    [found] = run("uci-retail", [{**INVOICE, "InvoiceNo": "C536365", "Quantity": "-6"}])
    assert isinstance(found, Event)
    assert (found.type, found.data["order_id"]) == ("order_cancelled", "C536365")
    assert found.data["items"][0]["quantity"] == 6


@needs_invoices
@pytest.mark.data
@pytest.mark.slow
def test_a_year_of_invoices_is_the_orders_of_each_customer_and_a_dead_letter_for_each_line_without_one() -> None:
    events, letters = mapped(INVOICES, "uci-retail")
    rows = rows_of(INVOICES)
    assert len(rows) == 541_909
    assert len(letters) == sum(not row["CustomerID"] for row in rows) == 135_080
    assert {(letter.reason, letter.path) for letter in letters} == {("no customer", "$.customer")}
    named = {(row["CustomerID"].removesuffix(".0"), row["InvoiceNo"]) for row in rows if row["CustomerID"]}
    cancelled = {one for one in named if one[1].startswith("C")}
    by_type = {
        kind: {(one.customer, one.data["order_id"]) for one in events if one.type == kind}
        for kind in ("order_placed", "order_cancelled")
    }
    assert by_type == {"order_placed": named - cancelled, "order_cancelled": cancelled}


@needs_invoices
@pytest.mark.data
@pytest.mark.slow
def test_every_line_of_an_invoice_is_in_its_order_with_quantity_and_price_to_the_penny() -> None:
    events, _ = mapped(INVOICES, "uci-retail")
    pence: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    for row in rows_of(INVOICES):
        if row["CustomerID"]:
            pence[row["InvoiceNo"]] += abs(int(row["Quantity"])) * round(float(row["UnitPrice"]) * 100)
            lines[row["InvoiceNo"]] += 1
    found_pence: Counter[str] = Counter()
    found_lines: Counter[str] = Counter()
    for one in events:
        found_pence[one.data["order_id"]] += sum(item["price"] * item["quantity"] for item in one.data["items"])
        found_lines[one.data["order_id"]] += len(one.data["items"])
    assert found_lines == lines
    assert found_pence == pence


def purchase(customer: str, day: str, dollars: str) -> dict[str, str]:
    return {"customer_id": customer, "date": day, "number_of_cds": "1", "dollar_value": dollars}


def test_what_one_customer_bought_on_one_day_is_one_order_in_dollars_at_midnight_in_new_york() -> None:
    first, other = run("cdnow", [purchase("1", "19970112", "12.00")] * 2 + [purchase("1", "19970701", "0.99")])
    assert isinstance(first, Event)
    assert isinstance(other, Event)
    assert (first.type, first.customer, first.occurred_at) == ("order_placed", "1", 853_045_200_000)
    assert first.data["currency"] == "USD"
    assert first.data["items"] == [{"product_id": "music", "price": 1200}] * 2
    assert other.occurred_at == 867_729_600_000  # summer: four hours behind UTC
    assert first.id != other.id


@needs_purchases
@pytest.mark.data
def test_every_purchase_is_in_its_days_order_to_the_cent_and_the_orders_are_in_the_order_of_time() -> None:
    events, letters = mapped(PURCHASES, "cdnow")
    assert letters == []
    cents: Counter[tuple[str, str]] = Counter()
    lines: Counter[tuple[str, str]] = Counter()
    with gzip.open(PURCHASES, "rt", newline="") as file:
        for customer, day, _, dollars in (line.split() for line in list(file)[1:]):
            cents[customer, day] += round(float(dollars) * 100)
            lines[customer, day] += 1
    zone = ZoneInfo("America/New_York")
    days = [f"{datetime.fromtimestamp(one.at / 1000, zone):%Y%m%d}" for one in events]
    found = {(one.customer, day): one.data["items"] for one, day in zip(events, days, strict=True)}
    assert {key: sum(item["price"] for item in items) for key, items in found.items()} == dict(cents)
    assert {key: len(items) for key, items in found.items()} == dict(lines)
    assert days == sorted(days)
    assert sum(lines.values()) == 69_659
    assert len({one.id for one in events}) == len(events) == 67_591
