"""The description of topics and records is the code's own, and real records are what it says."""

import json
from typing import Any

import jsonschema
import msgspec
import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from agents.cli.main import parcours
from agents.ingest.sources import read_sources_file
from agents.kafka.asyncapi import document
from agents.kafka.topics import wanted
from models.command import Mark
from models.event import Event, Position
from models.event_types import PAYLOADS
from models.journal import Bundle, Tick
from models.receipt import Receipt
from models.topics import Topics
from tests.deploy.accepting import ROOT
from tests.sending.build import command

SHIPPED = ROOT / "docs/reference/asyncapi.yaml"
SOURCES = read_sources_file(ROOT / "deploy/sources.yaml")
DOCUMENT = document(SOURCES)


def faults(topic: str, record: Any) -> list[str]:
    """Return why a value fits none of a topic's messages; nothing where it fits one."""
    found = []
    for name in DOCUMENT["channels"][topic]["messages"]:
        payload = DOCUMENT["components"]["messages"][name]["payload"]
        schema = {**payload, "components": DOCUMENT["components"]}
        errors = [one.message for one in jsonschema.Draft7Validator(schema).iter_errors(record)]
        if not errors:
            return []
        found += errors
    return found


def references(said: Any) -> list[str]:
    if isinstance(said, list):
        return [one for part in said for one in references(part)]
    if not isinstance(said, dict):
        return []
    here = [said["$ref"]] if isinstance(said.get("$ref"), str) else []
    return here + [one for part in said.values() for one in references(part)]


def test_the_shipped_file_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(parcours, ["schema", "asyncapi"], catch_exceptions=False)
    assert SHIPPED.read_text() == printed.output, (
        "make it anew: parcours schema asyncapi > docs/reference/asyncapi.yaml"
    )
    assert YAML(typ="safe").load(SHIPPED) == DOCUMENT


def test_every_topic_of_ours_and_of_the_store_is_described() -> None:
    ours = {one.name for one in wanted(Topics("shop."), 8)}
    assert set(document(SOURCES, "shop.")["channels"]) == ours | {one.name for one in SOURCES}


def test_every_type_of_event_is_described() -> None:
    assert set(DOCUMENT["channels"]["orders"]["messages"]) == {f"event_{name}" for name in PAYLOADS}


def test_no_reference_leads_nowhere() -> None:
    for one in references(DOCUMENT):
        place: Any = DOCUMENT
        for step in one.removeprefix("#/").split("/"):
            place = place[step]


def test_real_records_are_what_it_says() -> None:
    event = Event(id="e", type="x", customer="c", occurred_at=1, arrived_at=1, position=Position("orders", 1))
    tick = Tick(source="orders", first=0, next=1, before=5)
    receipt = Receipt(
        command="k", customer="c", state="sent", at=1, channel="email", scenario="s", step="t", purpose="marketing"
    )
    for topic, record in (
        ("delivery", command()),
        ("delivery", Mark(partition=1, applied_until=2)),
        ("journal", Bundle(writer="w", entries=[event, tick])),
        ("receipts", receipt),
        ("forwards", event),
    ):
        assert faults(topic, json.loads(msgspec.json.encode(record))) == []


@pytest.mark.parametrize(
    ("record", "fits"),
    [
        ({"type": "order_placed", "customer": "c", "occurred_at": 1, "order_id": "o", "total": 20}, True),
        ({"type": "order_placed", "customer": "c", "occurred_at": 1, "order_id": "o", "total": []}, False),
        ({"type": "order_placed", "customer": "c", "order_id": "o", "total": 20}, False),
        ({"type": "no_such_event", "customer": "c", "occurred_at": 1}, False),
    ],
)
def test_a_record_of_the_store_fits_where_ingest_would_take_it(record: dict[str, Any], fits: bool) -> None:
    assert (faults("orders", record) == []) is fits
