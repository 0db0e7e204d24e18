"""Visitors with two devices who sign in at every possible moment: one person each, the right cart, one reminder."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipeline.intake.record import SourceRecord
from pipeline.runtime import embedded
from pipeline.runtime.reading import DataFolder
from pipeline.scenario.sources import PlanSources
from tests.identity.visitors import MINUTE, record_of, rows_of
from tests.reference.visitors_fold import Person, fold
from tests.sim.world import DAY, T0, World, compile_once, plan

SEED = 4
# `PARCOURS_VISITORS=10000` is the long run.
PEOPLE = int(os.environ.get("PARCOURS_VISITORS", "300"))
ADVANCE_MS = 8 * 60 * MINUTE


class Store(World):
    """A world whose history ends some hours after the last record, before any second message is due."""

    def options(self) -> Any:
        options = super().options()
        options.advance_ms = ADVANCE_MS
        return options


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    # Each person begins at a time of their own, so that the slices hold every mixture.
    found = []
    for number in range(PEOPLE):
        shift = (number * 7_919) % (60 * MINUTE)
        found += [{**row, "at": row["at"] + shift} for row in rows_of(SEED, number)]
    return sorted(found, key=lambda row: row["at"])


def store(data: Path, rows: list[dict[str, Any]]) -> Store:
    bodies = [record_of(row, T0) for row in rows]
    records = [
        SourceRecord(source="shop", offset=index, timestamp_ms=body["occurred_at"], value=json.dumps(body).encode())
        for index, body in enumerate(bodies)
    ]
    return Store(data, records, carts_alone())


def carts_alone() -> PlanSources:
    """Return the shipped abandoned cart alone: the reference knows no other, and nothing else keeps a visitor."""
    files = plan(require_address="true").files
    kept = ("abandoned-cart/", "shared/", "settings.yaml", "overrides.json")
    return PlanSources({name: text for name, text in files.items() if name.startswith(kept)})


@pytest.fixture(scope="module")
def expected(rows: list[dict[str, Any]]) -> dict[str, Person]:
    by_person: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_person.setdefault(row["who"].removeprefix("anon:").rstrip("ab").removeprefix("c"), []).append(row)
    found: dict[str, Person] = {}
    for mine in by_person.values():
        found |= fold(mine, rows[-1]["at"] + ADVANCE_MS)
    return found


def reminders(folder: DataFolder) -> dict[str, list[tuple[str, str]]]:
    """Return (due, end) of every reminder, by customer."""
    ends = {one["command"]: one["state"] for one in folder.receipts() if one["state"] != "intent"}
    found: dict[str, list[tuple[str, str]]] = {}
    for one in folder.commands():
        if one["step"] == "reminder":
            found.setdefault(one["customer"], []).append((one["due_at"], ends[one["id"]]))
    return found


def check(folder: DataFolder, expected: dict[str, Person]) -> Counter[str]:
    """Compare every person with the reference; return how often what was seen."""
    from pipeline.runtime.reading import iso

    seen: Counter[str] = Counter()
    sent = reminders(folder)
    known = {one["id"]: one for one in folder.customers()}
    for name, person in sorted(expected.items()):
        found = known[name]
        assert [item["product_id"] for item in found["cart"]["items"]] == person.items, name
        assert found.get("aliases", []) == person.aliases, name
        said = [(iso(T0 + due), "sent" if valid else "expired") for due, valid in person.reminders]
        assert sent.pop(name, []) == said, name
        seen.update(["sent" if valid else "stale" for _, valid in person.reminders])
        seen.update([f"{len(person.aliases)} aliases", "carts" if person.items else "no cart"])
    assert sent == {}, "nobody else was reminded: no visitor, and nobody's guest"
    for name, one in known.items():
        if name.startswith("anon:") and "alias_of" in one:
            assert (one["cart"]["items"], one["enrolments"], one["timers"]) == ([], [], [])
            seen["shared"] += one["shared_at"] is not None
    return seen


def test_every_visitor_who_signs_in_is_one_person_with_the_right_cart_and_one_reminder(
    tmp_path: Path, rows: list[dict[str, Any]], expected: dict[str, Person]
) -> None:
    world = store(tmp_path / "data", rows)
    world.run()
    folder = DataFolder(world.data)
    seen = check(folder, expected)
    ledger = folder.ledger()
    folder.close()
    assert ledger["events"]["in"] == ledger["events"]["applied"] + ledger["events"]["duplicate"]
    assert ledger["events"]["dead_lettered"] == 0
    for what in ("sent", "stale", "0 aliases", "1 aliases", "2 aliases", "carts", "no cart", "shared"):
        assert seen[what] > PEOPLE // 60, f"too few of: {what}"


@pytest.mark.parametrize(("records", "customers", "feedback"), [(7, 2, 3), (40, 500, 1)])
def test_slices_of_any_size_give_the_same_people(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: list[dict[str, Any]],
    expected: dict[str, Person],
    records: int,
    customers: int,
    feedback: int,
) -> None:
    monkeypatch.setattr(embedded, "SLICE_RECORDS", records)
    monkeypatch.setattr(embedded, "SLICE_CUSTOMERS", customers)
    monkeypatch.setattr(embedded, "FEEDBACK_MAX", feedback)
    compile_once(monkeypatch)
    some = [row for row in rows if int("".join(filter(str.isdigit, row["who"]))) < 60]
    world = store(tmp_path / "data", some)
    world.run()
    folder = DataFolder(world.data)
    check(folder, {name: one for name, one in expected.items() if int("".join(filter(str.isdigit, name))) < 60})
    folder.close()


def test_aliases_and_visitors_are_forgotten_in_log_time(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    world = store(tmp_path / "data", rows[:200])
    world.run()
    folder = DataFolder(world.data)
    before = Counter("alias_of" in one for one in folder.customers() if one["id"].startswith("anon:"))
    folder.close()
    assert before[True] and before[False]
    # A record of somebody else, 40 and 95 days on, moves the watermark.
    for days, left in ((40, True), (95, False)):
        at = T0 + days * DAY
        body = {"type": "page_viewed", "customer": "c-late", "occurred_at": at}
        one = SourceRecord(
            source="shop", offset=len(world.inputs), timestamp_ms=at, value=json.dumps(body).encode()
        )  # fmt: skip
        world.inputs = [*world.inputs, one]
        world.run()
        folder = DataFolder(world.data)
        after = Counter("alias_of" in one for one in folder.customers() if one["id"].startswith("anon:"))
        folder.close()
        assert after[False] == 0
        assert bool(after[True]) is left
