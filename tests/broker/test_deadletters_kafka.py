"""Dead letters of a cluster are read again: from their source's topic where it holds them, else from what they keep."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from agents.ingest.dead_letters import message_of
from agents.kafka import clients
from agents.kafka.tables import whole_topic
from models.dead_letter import DeadLetter
from tests.broker.cluster import ROOT, Cluster

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]
ORDER = {"type": "order_placed", "occurred_at": "2026-01-05T10:00:00Z", "order_id": "o1", "total": 5}


def letter(offset: int, value: bytes) -> DeadLetter:
    return DeadLetter(stage="intake", reason="no type", source="orders", offset=offset, key=b"k", value=value)


async def written(cluster: Cluster, record: bytes, letters: list[DeadLetter]) -> None:
    sender = clients.producer(cluster.bootstrap)
    await sender.start()
    await sender.send_and_wait(cluster.topic_of["orders"], record, key=b"k", partition=0)
    for one in letters:
        await sender.send_and_wait(cluster.topics.dead_letters, partition=0, **message_of(one))
    await sender.stop()


async def forwards(cluster: Cluster) -> list[tuple[str, int]]:
    found = [json.loads(one.value) async for one in whole_topic(cluster.bootstrap, [cluster.topics.forwards])]
    return sorted((one["customer"], one["occurred_at"]) for one in found)


def test_letters_are_read_again_from_the_source_or_from_what_they_keep(kafka: str, tmp_path: Path) -> None:
    cluster = Cluster(kafka, tmp_path, [{"name": "orders", "mapping": "native"}], {})
    cluster.topics_apply(1)
    whole = json.dumps({**ORDER, "customer": "c1"}).encode()
    kept = json.dumps({**ORDER, "customer": "c2"}).encode()
    asyncio.run(written(cluster, whole, [letter(0, whole[:20]), letter(999, kept), letter(998, b"{")]))
    words = ("deadletters", "replay", "--all", "--kafka", "--sources", cluster.sources, "--prefix", cluster.prefix)
    full = [sys.executable, "-m", "agents.cli.main", *map(str, words), "--bootstrap", kafka]
    done = subprocess.run(full, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout.splitlines()[0]) == (
        1, "3 read again: 2 events go into the log, 1 still cannot be used"
    ), done.stderr  # fmt: skip
    assert asyncio.run(forwards(cluster)) == [("c1", 1767607200000), ("c2", 1767607200000)]
