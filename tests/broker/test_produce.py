"""A history goes only where it will stay."""

import asyncio
import os
from pathlib import Path

import pytest

from agents.kafka.tables import whole_topic
from agents.kafka.topics import Wanted, create
from models.ids import digest
from tests.acceptance.running import parcours

pytestmark = pytest.mark.broker
ROWS = '{"type":"order_placed","customer":"c","occurred_at":"2019-01-05T10:02:00Z","order_id":"o","total":5}\n'
WEEK_MS = 7 * 86_400_000


def published(kafka: str, topic: str) -> int:
    async def count() -> int:
        return len([record async for record in whole_topic(kafka, [topic])])

    return asyncio.run(count())


@pytest.mark.parametrize(("kept", "ends"), [(str(WEEK_MS), 2), ("-1", 0)])
def test_records_that_the_topic_would_not_keep_are_refused_before_the_first(
    kafka: str, tmp_path: Path, kept: str, ends: int
) -> None:
    topic = f"h{digest(str(tmp_path), str(os.getpid()))[:8]}"
    asyncio.run(create(kafka, [Wanted(topic, 1, {"retention.ms": kept})]))
    (tmp_path / "old.ndjson").write_text(ROWS)
    words = ("--input", tmp_path / "old.ndjson", "--mapping", "native", "--topic", topic, "--bootstrap", kafka)
    done = parcours("produce", *words)
    assert done.returncode == ends, done.stderr
    assert published(kafka, topic) == (0 if ends else 1)
    assert ("keeps records for 7 days, and the file begins on 2019-01-05" in done.stderr) is bool(ends)
