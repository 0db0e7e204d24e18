"""The verifier can fail: each kind of difference is seen where it is put into what the topics hold."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from aiokafka import ConsumerRecord

from pipeline.store.codec import PROGRESS, decode_progress, encode_progress
from tests.fault.rows import ROWS
from tests.fault.run import chosen, verdict
from tests.fault.verifier import judged
from tests.reference.chase_check import ENDS, check
from tests.reference.evidence import Evidence
from tests.sim.cluster.checker import evidence
from tests.sim.cluster.world import TOPICS, World

Change = Callable[[list[ConsumerRecord]], list[ConsumerRecord]]


@pytest.fixture(scope="module")
def calm() -> Evidence:
    world = World(4, faults=False)
    world.run()
    return evidence(world)


def changed(given: Evidence, topic: str, change: Change) -> Evidence:
    """Return evidence of which one topic holds something else."""
    return replace(given, records=lambda name: change(given.records(name)) if name == topic else given.records(name))


def kinds(given: Evidence) -> set[str]:
    return {one.kind for one in check(given)}


def is_command(record: ConsumerRecord) -> bool:
    return bool(json.loads(record.value)["kind"] == "command")


def first(records: list[ConsumerRecord], wanted: Callable[[ConsumerRecord], bool]) -> int:
    return next(place for place, one in enumerate(records) if wanted(one))


def without(wanted: Callable[[ConsumerRecord], bool]) -> Change:
    def change(records: list[ConsumerRecord]) -> list[ConsumerRecord]:
        place = first(records, wanted)
        return [*records[:place], *records[place + 1 :]]

    return change


def twice(wanted: Callable[[ConsumerRecord], bool]) -> Change:
    return lambda records: [*records, records[first(records, wanted)]]


def said(wanted: Callable[[ConsumerRecord], bool], **more: Any) -> Change:
    def change(records: list[ConsumerRecord]) -> list[ConsumerRecord]:
        place = first(records, wanted)
        value = json.dumps(json.loads(records[place].value) | more).encode()
        return [*records[:place], replace(records[place], value=value), *records[place + 1 :]]

    return change


def is_end(record: ConsumerRecord) -> bool:
    return json.loads(record.value)["state"] in ENDS


def is_progress(record: ConsumerRecord) -> bool:
    return record.key == PROGRESS


def counted_once_more(records: list[ConsumerRecord]) -> list[ConsumerRecord]:
    """The last progress record says one event more than there was."""
    place = max(place for place, one in enumerate(records) if is_progress(one))
    known = decode_progress(records[place].value)
    counts = msgspec.structs.replace(known.counts, applied=known.counts.applied + 1)
    value = encode_progress(msgspec.structs.replace(known, counts=counts))
    return [*records[:place], replace(records[place], value=value), *records[place + 1 :]]


def test_what_is_as_it_must_be_has_no_difference(calm: Evidence) -> None:
    assert check(calm) == []


@pytest.mark.parametrize(
    ("topic", "change", "kind"),
    [
        (TOPICS.delivery, without(is_command), "lost"),
        (TOPICS.delivery, twice(is_command), "duplicated"),
        (TOPICS.delivery, said(is_command, due_at=1), "wrong"),
        (TOPICS.delivery, said(is_command, id="f" * 32), "wrong"),
        (TOPICS.receipts, without(is_end), "lost"),
        (TOPICS.receipts, twice(is_end), "duplicated"),
        (TOPICS.receipts, said(is_end, state="expired"), "wrong"),
        (TOPICS.changelog, counted_once_more, "state"),
    ],
)
def test_a_difference_is_named_by_its_kind(calm: Evidence, topic: str, change: Change, kind: str) -> None:
    assert kind in kinds(changed(calm, topic, change))


def test_a_source_record_that_came_nowhere_is_lost(calm: Evidence) -> None:
    stray = replace(calm.records("leads")[0], offset=10**6)
    assert kinds(changed(calm, "leads", lambda records: [*records, stray])) == {"lost"}


def test_a_call_more_is_a_duplicate_where_no_key_is_taken_and_a_call_less_a_wrong_receipt(calm: Evidence) -> None:
    unkeyed = replace(calm, keyed=False)
    assert kinds(replace(unkeyed, accepted=[*calm.accepted, calm.accepted[0]])) == {"duplicated"}
    assert kinds(replace(calm, accepted=calm.accepted[1:])) == {"wrong"}


def test_a_reminder_long_after_the_win_is_wrong(calm: Evidence) -> None:
    late = [(name, at + 60_000) for name, at in calm.accepted]
    assert kinds(replace(calm, accepted=late)) == {"wrong"}


def test_a_run_in_which_too_little_was_hit_is_void_and_not_passed(calm: Evidence) -> None:
    row = ROWS["kill"]
    stamp = calm.records("leads")[0].timestamp
    common = {"healed_at": 0, "flowing": True, "facts": {}, "what": ""}
    told = [{"at": stamp, "void": "", **common}, {"at": stamp - 10**6, "void": "", **common}]
    found = {"settled": True, **dict.fromkeys(("lost", "duplicated", "wrong", "state"), 0)}
    found["injections"] = judged(calm, told)
    assert [one["void"] for one in found["injections"]] == ["", "no records were coming in"]
    assert verdict(row, 1, found) == "passed"
    assert verdict(row, 2, found) == "void"
    assert verdict(row, 1, found | {"lost": 1}) == "failed"
    assert verdict(row, 1, found | {"settled": False}) == "failed"


def test_the_short_rows_are_those_that_a_nightly_run_needs() -> None:
    names = {row.name for row in chosen("short")}
    assert names >= {"kill", "zombie", "rebalance", "broker_bounce", "poison", "duplicates", "provider", "edit"}
    assert all(row.full >= 20 for row in ROWS.values() if row.short), "the long run of each has 20 injections"
