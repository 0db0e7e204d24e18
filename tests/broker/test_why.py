"""On a cluster: a new scenario takes in who would be inside, once, and the topics say why each message was sent or not."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.kafka.control import activate
from agents.kafka.reading import KafkaReader
from pipeline.scenario.sources import PlanSources, read_sources
from tests.broker.cluster import Cluster, wait_for

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]
SETTINGS = "timezone: UTC\nconsent_default: granted\nrequire_address: false\n"
HEAD = "title: T\npurpose: marketing\n"
THANKS = (
    f"scenario: thanks\n{HEAD}enter: {{on: order_placed, again: always}}\nsteps: [{{send: thanks, channel: web}}]\n"
)
FOLLOW_UP = (
    f"scenario: follow-up\n{HEAD}enter: {{on: order_placed, again: always}}\nexit: [{{on: order_cancelled}}]\n"
    "steps: [{wait: 1d}, {send: one, channel: web}, {wait: 5d}, {send: two, channel: web}]\n"
)
CUSTOMERS, CANCELLED = 12, 3
END, LATER = "2026-01-08T00:00:00Z", "2026-01-20T00:00:00Z"


def plan(folder: Path, **scenarios: str) -> PlanSources:
    for name, text in scenarios.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "scenario.yaml").write_text(text)
    (folder / "settings.yaml").write_text(SETTINGS)
    return read_sources(folder)


def history(path: Path) -> Path:
    """Each customer orders on the 5th, an hour after the one before; three cancel on the 7th."""
    rows: list[dict[str, Any]] = []
    for number in range(CUSTOMERS):
        order = {"customer": f"c{number}", "order_id": f"o{number}"}
        at = f"2026-01-05T{number:02d}:00:00Z"
        rows.append({"type": "order_placed", "occurred_at": at, "items": [], **order})
    for number in range(CANCELLED):
        at = f"2026-01-07T{number:02d}:00:00Z"
        order = {"customer": f"c{number}", "order_id": f"o{number}"}
        rows.append({"type": "order_cancelled", "occurred_at": at, **order})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def cluster(kafka: str, tmp_path: Path) -> Iterator[Cluster]:
    one = Cluster(kafka, tmp_path, [{"name": "shop", "mapping": "native"}], {})
    one.topics_apply(4)
    file = history(tmp_path / "shop.ndjson")
    one.run("produce", "--input", file, "--mapping", "native", "--topic", one.topic_of["shop"])
    yield one
    one.stop()


def said(cluster: Cluster, *words: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cluster.run(*words, "--kafka", "--prefix", cluster.prefix, "--json"))
    return found


def of_follow_up(cluster: Cluster, what: str, **wanted: str) -> list[dict[str, Any]]:
    return [
        row
        for row in cluster.rows(what)
        if row.get("scenario") == "follow-up" and all(row[name] == value for name, value in wanted.items())
    ]


def test_a_backfill_over_live_workers_and_what_explain_says_of_it(cluster: Cluster, tmp_path: Path) -> None:
    plan(tmp_path / "old", thanks=THANKS)
    new = plan(tmp_path / "new", thanks=THANKS, **{"follow-up": FOLLOW_UP})
    cluster.start("ingest", "--plan", tmp_path / "old", "--sources", cluster.sources, "--clock", "records", "--follow")
    victim = cluster.journeys("a")
    wait_for(lambda: cluster.ledger()["events"]["applied"] == CUSTOMERS + CANCELLED, 90, "the history is read")
    cluster.run("advance", "--to", END, "--prefix", cluster.prefix)
    wait_for(lambda: cluster.ledger()["watermark"] == END, 60, "the workers have come to the end of the history")
    progress = KafkaReader(cluster.bootstrap, cluster.topics).progress()
    at = max(one.watermark for one in progress.values())
    assert asyncio.run(activate(cluster.bootstrap, cluster.topics, new, at))

    words = ("backfill", "--scenario", "follow-up", "--from", "2026-01-01")
    told = said(cluster, *words, "--dry-run")
    inside = CUSTOMERS - CANCELLED
    assert (told["entered"], told["inside"], told["handed_on"]) == (CUSTOMERS, inside, 0)
    assert told["messages_passed_over"] == CUSTOMERS
    assert said(cluster, *words)["handed_on"] == inside
    # The owner of the partitions dies over it, and it is asked for again.
    victim.kill()
    victim.wait()
    assert said(cluster, *words)["handed_on"] == inside
    cluster.journeys("b")
    wait_for(lambda: len(of_follow_up(cluster, "decisions", reason="backfill")) >= inside, 90, "they have entered")
    cluster.run("advance", "--to", LATER, "--prefix", cluster.prefix)
    wait_for(lambda: cluster.ledger()["watermark"] == LATER, 60, "the workers have come on")
    entered = of_follow_up(cluster, "decisions", reason="backfill")
    assert len(entered) == len({row["enrolment"] for row in entered}) == inside
    commands = of_follow_up(cluster, "commands")
    assert sorted((row["customer"], row["step"], row["due_at"]) for row in commands) == sorted(
        (f"c{number}", "two", f"2026-01-11T{number:02d}:00:00Z") for number in range(CANCELLED, CUSTOMERS)
    )

    for more in ((), ("--deep",)):
        found = said(cluster, "explain", "--customer", "c5", "--scenario", "follow-up", *more)
        [passage] = found["passages"]
        assert [(one["step"], one["outcome"]) for one in passage["steps"]] == [
            ("one", "not_reached"),
            ("two", "pending"),
        ]
        assert passage["steps"][1]["due_at"] == "2026-01-11T05:00:00Z"
        assert not found.get("differs")
    [thanks] = said(cluster, "explain", "--customer", "c1", "--scenario", "thanks")["passages"]
    assert thanks["entry"]["source"].startswith("shop/")
    words = ("simulate", "thanks", "--as", "c1", "--kafka", "--prefix", cluster.prefix)
    assert "sent thanks: due" in cluster.run(*words)
