"""A shop whose abandoned cart is edited while customers are inside: its people, records, and two versions of a plan."""

import json
import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from models.ids import partition_of
from pipeline.intake.record import SourceRecord
from pipeline.runtime.reading import iso
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.sources import PlanSources, read_sources
from tests.reference.edit_fold import DAY, HOUR, MINUTE, Shopper, explained
from tests.sim.world import SCENARIOS, T0

SPAN = 5 * DAY
Message = tuple[str, str, str]  # version, step, due
POLICIES = ("pin", "migrate", "drain")
FILE = "abandoned-cart/scenario.yaml"
NUDGE = """  - wait: 1d
  - send: nudge
    channel: email
    template: abandoned-cart/urgency
    with: {items: 'top(cart.items, 3, "price")', link: 'default(cart.url, "")'}
  - wait: 1d
  - split: third_message"""


def plan(policy: str | None = None) -> PlanSources:
    """Return the shipped abandoned cart alone, with no cap in the way; edited, where a policy is named."""
    shipped = read_sources(SCENARIOS, {"consent_default": "granted", "require_address": "false"}).files
    files = {name: text for name, text in shipped.items() if name.startswith(("abandoned-cart/", "shared/", "over"))}
    files["settings.yaml"] = "store: {name: Example, url: 'https://shop.example', currency: EUR}\n"
    files[FILE] = _changed(files[FILE], ("limit: {at_most: 3,", "limit: {at_most: 9,"))
    if policy is not None:
        files[FILE] = _changed(
            files[FILE],
            ("exit:\n", f"on_change: {policy}\nexit:\n"),
            ("wait: 45m", "wait: 30m"),
            ("wait: 23h", "wait: 11h"),
            ("  - wait: 2d\n  - split: third_message", NUDGE),
        )
    return PlanSources(files)


def _changed(text: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        assert text.count(old) == 1, f"the shipped scenario has changed: {old!r}"
        text = text.replace(old, new)
    return text


def written(sources: PlanSources, folder: Path) -> Path:
    """Write a plan's files into a folder."""
    for name, text in sources.files.items():
        if name != "overrides.json":
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return folder


def shoppers(seed: int, count: int) -> list[Shopper]:
    """Return people who leave a cart at any time of five days; one in four orders at any time after it."""
    dice, found = random.Random(seed), []
    for number in range(count):
        left = T0 + dice.randrange(SPAN // 1000) * 1000
        ordered = left + dice.randrange(MINUTE, 4 * DAY) if dice.random() < 0.25 else None
        found.append(Shopper(f"c{number}", left, ordered))
    return found


def rows_of(people: list[Shopper]) -> list[dict[str, Any]]:
    """Return the records of a shop, in the order of their times."""
    found: list[dict[str, Any]] = []
    for one in people:
        items = [{"product_id": "p1", "price": 20, "quantity": 1}]
        found.append({"type": "cart_updated", "customer": one.name, "occurred_at": one.left, "items": items})
        if one.ordered is not None:
            said = {"type": "order_placed", "order_id": f"o-{one.name}", "total": 20}
            found.append({**said, "customer": one.name, "occurred_at": one.ordered})
    return sorted(found, key=lambda row: (int(row["occurred_at"]), str(row["customer"])))


def cut(rows: list[dict[str, Any]], partitions: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]], int]:
    """Return what stands before the edit, what after it, and its time (UTC ms), which every partition has reached."""
    edited = T0 + SPAN // 2 + 7 * HOUR
    before = [row for row in rows if row["occurred_at"] < edited]
    before += [
        {"type": "page_viewed", "customer": name, "occurred_at": edited} for name in _one_of_each(partitions)
    ]  # fmt: skip
    return before, [row for row in rows if row["occurred_at"] >= edited], edited


def _one_of_each(partitions: int) -> list[str]:
    """Return a customer of each journal partition: theirs is the last record before the edit."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < partitions:
        found.setdefault(partition_of(f"clock-{number}", partitions), f"clock-{number}")
        number += 1
    return [found[partition] for partition in range(partitions)]


def records_of(rows: list[dict[str, Any]]) -> list[SourceRecord]:
    """Return rows as source records."""
    return [
        SourceRecord(source="shop", offset=number, timestamp_ms=row["occurred_at"], value=json.dumps(row).encode())
        for number, row in enumerate(rows)
    ]


def given(commands: Iterable[dict[str, Any]]) -> dict[str, list[Message]]:
    """Return (version, step, due) of every message, by customer; no command comes twice."""
    old = compile_plan(plan()).live["abandoned-cart"].version
    found: dict[str, list[Message]] = {}
    ids = Counter[str]()
    for one in commands:
        if one["scenario"] == "abandoned-cart":
            ids[one["id"]] += 1
            step = one["step"] if one["step"] not in {"voucher", "cross_sell"} else "third"
            version = "old" if one["version"] == old else "new"
            found.setdefault(one["customer"], []).append((version, step, one["due_at"]))
    assert max(ids.values(), default=0) <= 1, "a message came twice"
    return found


def expected(people: list[Shopper], edited: int, policy: str) -> dict[str, list[Message]]:
    """Return what the naive reading says, as `given` returns what was."""
    rows = {one.name: explained(one, edited, policy) for one in people}
    return {name: [(version, step, iso(at)) for version, step, at in mine] for name, mine in rows.items() if mine}
