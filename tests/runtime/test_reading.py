"""What a data folder shows: to people and machines, with every promised field, while a run writes it or after."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from pipeline.engine.happenings import CLOCK
from pipeline.errors import DataFolderError
from pipeline.intake.record import SourceRecord
from pipeline.runtime.embedded import EmbeddedPipeline
from pipeline.runtime.reading import DataFolder, iso
from tests.sim.world import T0, World, plan, records

ODD = 'ann "the\\cat" é'
PROMISED = {
    "id", "scenario", "step", "customer", "channel", "template", "data", "due_at", "valid_until", "reason",
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    odd = b'{"type":"cart_updated","customer":"ann \\"the\\\\cat\\" \xc3\xa9","occurred_at":%d,' % T0
    odd += b'"items":[{"product_id":"p1","price":5}]}'
    shop = [SourceRecord(source="shop", offset=0, timestamp_ms=T0, value=odd)]
    shop += [replace(one, offset=one.offset + 1) for one in records(5, 150)]
    found = World(tmp_path_factory.mktemp("reading") / "data", shop, plan())
    found.run()
    return found


@pytest.fixture
def reader(world: World) -> Iterator[DataFolder]:
    found = DataFolder(world.data)
    yield found
    found.close()


def is_utc(text: str) -> bool:
    return text.endswith("Z") and datetime.fromisoformat(text).tzinfo is not None


def test_a_command_has_every_promised_field_and_says_its_reason(reader: DataFolder, world: World) -> None:
    by_record = 0
    for one in reader.commands():
        assert set(one) >= PROMISED
        assert is_utc(one["due_at"]) and is_utc(one["valid_until"])
        assert set(one["reason"]) == {"event_id", "source_topic", "partition", "offset"}
        if one["reason"]["source_topic"] == CLOCK:
            # A level fell, or somebody went quiet: no record did that.
            assert one["scenario"] in {"retention", "reactivation", "re-engagement"}
            continue
        record = world.inputs[one["reason"]["offset"]]
        assert one["reason"]["source_topic"] == record.source
        assert record.value is not None and one["customer"].split(" ")[0].encode() in record.value
        by_record += 1
    assert by_record > 20


def test_decisions_and_receipts_say_when_in_utc(reader: DataFolder) -> None:
    decisions, receipts = list(reader.decisions()), list(reader.receipts())
    assert decisions and receipts
    assert all(is_utc(one["at"]) for one in [*decisions, *receipts])


def test_every_command_ends_with_one_receipt_and_every_send_has_a_decision(reader: DataFolder) -> None:
    commands = {one["id"] for one in reader.commands()}
    ends = [one["command"] for one in reader.receipts() if one["state"] != "intent"]
    assert sorted(ends) == sorted(commands)
    assert {one["command"] for one in reader.decisions() if one["outcome"] == "sent"} == commands


def test_a_record_that_cannot_be_read_is_listed_whole_with_its_place_and_reason(
    reader: DataFolder, world: World
) -> None:
    letters = list(reader.dead_letters())
    broken = [one.offset for one in world.inputs if one.value == b"{broken"]
    assert [one["offset"] for one in letters] == broken and broken
    assert all(one["value"] == "{broken" and one["reason"] and one["source"] == "shop" for one in letters)


# Rejected: who was forgotten and comes back with the same address.
ENDS = ("sent", "cancelled", "rejected")


def test_the_ledger_closes(reader: DataFolder, world: World) -> None:
    ledger = reader.ledger()
    events, commands = ledger["events"], ledger["commands"]
    assert ledger["records"] == len(world.inputs)
    assert events["in"] == events["applied"] + events["duplicate"] + events["dead_lettered"]
    assert commands["in"] == len(list(reader.commands())) == sum(commands[end] for end in ENDS)
    assert commands["pending"] == 0


def test_a_customers_page_shows_profile_cart_enrolments_and_timers(world: World, tmp_path: Path) -> None:
    early = World(tmp_path / "early", world.inputs[:1], world.sources)
    pipeline = EmbeddedPipeline.open(early.options())
    pipeline.step()
    page = DataFolder(pipeline.folder).customer(ODD)
    pipeline.close()
    assert page is not None
    assert page["profile"]["first_seen"] == page["profile"]["last_seen"] == iso(T0)
    assert page["profile"]["orders"] == 0
    assert [item["product_id"] for item in page["cart"]["items"]] == ["p1"]
    [inside] = page["enrolments"]
    assert inside["scenario"] == "abandoned-cart" and inside["entered_at"] == iso(T0)
    assert page["timers"] == [
        {"due_at": iso(T0 + 45 * 60_000), "scenario": "abandoned-cart", "enrolment": inside["id"]}
    ]


def test_nobody_is_shown_for_a_customer_who_never_came(reader: DataFolder) -> None:
    assert reader.customer("nobody") is None
    assert reader.timeline("nobody") == []


def test_every_customer_is_listed_once_in_the_order_of_ids(reader: DataFolder) -> None:
    names = [one["id"] for one in reader.customers()]
    assert names == sorted(set(names)) and ODD in names


def test_a_timeline_tells_events_decisions_and_messages_of_one_customer_newest_first(reader: DataFolder) -> None:
    rows = reader.timeline(ODD)
    assert {row["kind"] for row in rows} == {"event", "decision", "message"}
    assert rows[-1]["at"] == iso(T0)
    assert [row["at"] for row in rows] == sorted((row["at"] for row in rows), reverse=True)
    assert not any(row.get("customer", ODD) != ODD for row in rows)
    assert len(reader.timeline(ODD, limit=2)) == 2


def test_a_folder_is_read_while_a_run_holds_it(world: World, tmp_path: Path) -> None:
    running = World(tmp_path / "running", world.inputs, world.sources)
    pipeline = EmbeddedPipeline.open(running.options())
    pipeline.step()
    beside = DataFolder(running.data)
    seen = list(beside.commands())
    beside.close()
    own = list(DataFolder(pipeline.folder).commands())
    pipeline.close()
    assert seen == own != []


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFolderError):
        DataFolder(tmp_path)


@pytest.mark.parametrize(
    ("moment", "text"),
    [(0, "1970-01-01T00:00:00Z"), (1_569_888_000_123, "2019-10-01T00:00:00.123000Z"), (None, None), (2**62, None)],
)
def test_a_time_outside_is_iso_8601_in_utc(moment: int | None, text: str | None) -> None:
    assert iso(moment) == text
    if text and moment:
        assert datetime.fromisoformat(text) == datetime.fromtimestamp(moment / 1000, UTC)
