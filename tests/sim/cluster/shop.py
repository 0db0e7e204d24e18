"""What a simulated shop writes, and the plan that answers it: waits of seconds, so that a minute holds a history."""

import json
import random
from typing import Any

from pipeline.scenario.sources import PlanSources

WAITS = {"one": (4_000, 6_000), "two": (2_500, 9_000)}
PARTITIONS = 2
SOURCES = ("leads", "wins")
DELAY_MS = 1_000
CUSTOMERS = 10


def plan(name: str) -> PlanSources:
    """Return one of the two versions of the plan; those inside stay on theirs."""
    first, second = WAITS[name]
    settings = (
        "store: {name: Shop, url: 'https://shop.example'}\nconsent_default: granted\nrequire_address: false\n"
        "lateness_limit: 20s\nevents: {lead: {n: int}, win: {n: int}}\n"
    )
    chase = (
        "scenario: chase\ntitle: Chase\npurpose: marketing\npriority: 50\nenter: {on: lead, again: always}\n"
        f"exit:\n  - on: win\non_change: pin\nsteps:\n  - wait: {first}ms\n"
        "  - {send: first, channel: email, valid_for: 30s}\n"
        f"  - wait: {second}ms\n  - {{send: second, channel: email, valid_for: 60s}}\n"
    )
    thanks = (
        "scenario: thanks\ntitle: Thanks\npurpose: transactional\npriority: 40\nenter: {on: win, again: always}\n"
        "on_change: pin\nsteps:\n  - {send: thanks, channel: email, valid_for: 60s}\n"
    )
    files = {"settings.yaml": settings, "chase/scenario.yaml": chase, "thanks/scenario.yaml": thanks}
    for step in ("chase/first", "chase/second", "thanks/thanks"):
        files[f"{step}.en.txt"] = '---\nsubject: "Hello"\n---\nHello\n'
        files[f"{step}.en.html"] = "<p>Hello</p>"
    return PlanSources(files)


def said(dice: random.Random, number: int, now_ms: int) -> tuple[str, dict[str, Any]]:
    """Return a record of a moment and its source: some claim to be older, as if they had been held back somewhere."""
    source = dice.choices(SOURCES, (3, 1))[0]
    old = dice.choice((0, 0, 0, 0, 300, 2_000, 9_000, 45_000))
    record = {"type": source.removesuffix("s"), "customer": f"c{dice.randrange(CUSTOMERS)}", "id": f"{source}-{number}"}
    return source, {**record, "occurred_at": now_ms - old, "n": number}


def encode(record: dict[str, Any]) -> bytes:
    return json.dumps(record).encode()
