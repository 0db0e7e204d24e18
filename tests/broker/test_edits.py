"""On a real broker: version 2 comes in mid-stream, workers are killed, and every message is explained by the policy."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from agents.kafka import clients
from agents.kafka.reading import KafkaReader
from models.ids import partition_of
from pipeline.runtime.reading import iso
from tests.broker.cluster import Cluster, wait_for
from tests.edits.shop import SPAN, cut, expected, given, plan, rows_of, shoppers, written
from tests.reference.edit_fold import DAY
from tests.sim.world import T0

# `PARCOURS_CUSTOMERS=10000` is the long run; `PARCOURS_POLICY` tries another policy.
CUSTOMERS = int(os.environ.get("PARCOURS_CUSTOMERS", "200"))
POLICY = os.environ.get("PARCOURS_POLICY", "migrate")
WAIT_S = 60 + CUSTOMERS / 40
PARTITIONS = 4
SETTINGS = {"consent_default": "granted", "require_address": "false"}
pytestmark = [pytest.mark.broker, pytest.mark.timeout(180 + CUSTOMERS // 10)]


@pytest.fixture
def cluster(kafka: str, tmp_path: Path) -> Iterator[Cluster]:
    one = Cluster(kafka, tmp_path, [{"name": "shop", "mapping": "native"}], SETTINGS)
    one.topics_apply(PARTITIONS)
    yield one
    one.stop()


def read_history(cluster: Cluster, rows: list[dict[str, Any]], folder: Path) -> None:
    """Publish records, and read them to their end by an ingest with a plan."""

    async def send() -> None:
        producer = clients.producer(cluster.bootstrap)
        await producer.start()
        for row in rows:
            await producer.send(
                cluster.topic_of["shop"],
                orjson.dumps(row),
                partition=partition_of(row["customer"], PARTITIONS),
                timestamp_ms=row["occurred_at"],
            )
        await producer.flush()
        await producer.stop()

    asyncio.run(send())
    words = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    reading = cluster.start(
        "ingest", "--plan", folder, "--sources", cluster.sources, "--clock", "records", *words
    )  # fmt: skip
    assert reading.wait(timeout=WAIT_S) == 0, cluster.log_of("ingest")


def patiently(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        began = time.monotonic()
        if condition():
            return
        time.sleep(0.05 + 3 * (time.monotonic() - began))
    raise AssertionError(f"not within {WAIT_S} s: {what}")


def test_an_edit_with_workers_killed_before_and_in_its_pass_is_explained_by_its_policy(cluster: Cluster) -> None:
    people = shoppers(3, CUSTOMERS)
    before, after, edited = cut(rows_of(people), PARTITIONS)
    one, two = written(plan(), cluster.folder / "one"), written(plan(POLICY), cluster.folder / "two")
    reader = KafkaReader(cluster.bootstrap, cluster.topics)
    read_history(cluster, before, one)
    victim = cluster.journeys("a", env={"PARCOURS_TEST_PAUSE_IN_TRANSACTION_S": "25"})
    markers = cluster.folder / "journeys-a"
    wait_for(lambda: list(markers.glob("in-transaction-*")), 40, "a transaction is open with all its records sent")
    victim.kill()
    victim.wait()
    cluster.journeys("a")
    victim = cluster.journeys("b")
    patiently(
        lambda: [one.watermark for one in reader.progress().values()] == [edited] * PARTITIONS, "all stand at the edit"
    )
    said = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    cluster.run("apply", two, *said, "--yes", "--kafka", "--prefix", cluster.prefix)
    victim.kill()
    victim.wait()
    cluster.journeys("b")
    read_history(cluster, after, two)
    end = T0 + SPAN + 9 * DAY
    cluster.run("advance", "--to", iso(end), "--prefix", cluster.prefix)
    patiently(
        lambda: (
            all(row.watermark == end and row.pass_cursor is None for row in reader.progress().values())
            and given(reader.commands()) == expected(people, edited, POLICY)
        ),
        "what the policy says",
    )
    ids = [row["id"] for row in reader.commands()]
    assert len(ids) == len(set(ids)) > CUSTOMERS // 2
    print(f"{POLICY}: {CUSTOMERS} customers, {len(before) + len(after)} records, {len(ids)} messages")
