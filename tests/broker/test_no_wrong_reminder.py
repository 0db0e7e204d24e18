"""On the broker's clock: nobody who bought is reminded of the cart, whatever was down when the reminder fell due."""

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from agents.kafka import clients
from models.ids import partition_of
from tests.broker.cluster import Cluster, wait_for

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]
PARTITIONS = 2
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
SETTINGS = {"consent_default": "granted", "require_address": "false"}
BUYERS = [f"buyer-{number}" for number in range(20)]
OTHERS = [f"other-{number}" for number in range(5)]


@pytest.fixture
def cluster(kafka: str, tmp_path: Path) -> Iterator[Cluster]:
    sources = [{"name": name, "mapping": "native", "delay": "1s"} for name in ("cart-updates", "orders")]
    one = Cluster(kafka, tmp_path, sources, SETTINGS)
    one.topics_apply(PARTITIONS)
    yield one
    one.stop()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def publish(cluster: Cluster, name: str, rows: list[dict[str, Any]]) -> None:
    """Write records as a store did, at their own times."""

    async def send() -> None:
        producer = clients.producer(cluster.bootstrap)
        await producer.start()
        for row in rows:
            await producer.send_and_wait(
                cluster.topic_of[name],
                orjson.dumps(row),
                partition=partition_of(row["customer"], PARTITIONS),
                timestamp_ms=row["occurred_at"],
            )
        await producer.stop()

    asyncio.run(send())


def carts(at: int, customers: list[str]) -> list[dict[str, Any]]:
    items = [{"product_id": "p1", "price": 20, "quantity": 1}]
    return [{"type": "cart_updated", "customer": one, "occurred_at": at, "items": items} for one in customers]


def orders(at: int, customers: list[str]) -> list[dict[str, Any]]:
    kind = "order_placed"
    return [
        {"type": kind, "customer": one, "occurred_at": at, "order_id": f"o-{one}", "total": 20} for one in customers
    ]


def reminders(cluster: Cluster) -> list[str]:
    return [row["customer"] for row in cluster.rows("commands") if row["scenario"] == "abandoned-cart"]


def sent(cluster: Cluster) -> list[str]:
    found = [row for row in cluster.rows("receipts") if row["scenario"] == "abandoned-cart"]
    return [row["customer"] for row in found if row["state"] == "sent"]


def watermark(cluster: Cluster) -> str:
    return str(cluster.ledger()["watermark"] or "")


def test_while_the_reader_of_orders_stands_still_no_reminder_goes_out_and_then_none_to_the_buyers(
    cluster: Cluster,
) -> None:
    said = json.loads(cluster.sources.read_text())["sources"]
    halves = []
    for one in said:
        half = cluster.folder / f"{one['name']}.yaml"
        half.write_text(json.dumps({"sources": [one]}))
        halves.append(half)
    cluster.ingest(sources=halves[0])
    reader_of_orders = cluster.ingest(sources=halves[1])
    cluster.journeys("a")
    cluster.start("sender", "--channel", "email", "--outbox", cluster.folder / "outbox")
    wait_for(lambda: watermark(cluster) > "2026", 60, "both sources tick")
    at = now_ms() - 45 * MINUTE_MS + 15_000  # the reminders fall due in a quarter of a minute
    publish(cluster, "cart-updates", carts(at, [*BUYERS, *OTHERS]))
    wait_for(lambda: cluster.ledger()["events"]["applied"] >= 25, 30, "the carts are applied")
    reader_of_orders.send_signal(signal.SIGSTOP)
    publish(cluster, "orders", orders(at + MINUTE_MS, BUYERS))
    assert reminders(cluster) == [], "the reminders were due before the reader stood still: nothing is shown"
    wait_for(lambda: now_ms() > at + 45 * MINUTE_MS + 5_000, 40, "the reminders are due by the wall clock")
    assert reminders(cluster) == [], "a reminder went out while orders stood unread"
    due = datetime.fromtimestamp(at / 1000 + 45 * 60, UTC)
    assert datetime.fromisoformat(watermark(cluster)) < due, "the watermark went on"
    reader_of_orders.send_signal(signal.SIGCONT)
    wait_for(lambda: set(reminders(cluster)) == set(OTHERS), 60, "those who did not buy are reminded")
    assert not set(sent(cluster)) & set(BUYERS)


def test_after_an_outage_of_ingest_of_four_hours_the_buyers_get_nothing(cluster: Cluster) -> None:
    start = now_ms() - 4 * HOUR_MS
    publish(cluster, "cart-updates", carts(start, [*BUYERS, *OTHERS]))
    publish(cluster, "orders", orders(start + 20 * MINUTE_MS, BUYERS))
    cluster.journeys("a")
    cluster.ingest()
    cluster.start("sender", "--channel", "email", "--outbox", cluster.folder / "outbox")
    wait_for(lambda: set(reminders(cluster)) >= set(OTHERS), 60, "the reminders of four hours ago are worked through")
    assert set(reminders(cluster)) == set(OTHERS)
    wait_for(lambda: cluster.ledger()["commands"]["pending"] == 0, 60, "every command has its end")
    # They were due three hours ago and valid for two: nobody gets a stale one.
    assert sent(cluster) == []


def test_orders_read_before_the_carts_that_they_paid_for_give_no_reminder(cluster: Cluster) -> None:
    at = now_ms() - 50 * MINUTE_MS
    cluster.journeys("a")
    cluster.ingest()
    wait_for(lambda: watermark(cluster) > "2026", 60, "both sources tick")
    publish(cluster, "orders", orders(at + MINUTE_MS, BUYERS))
    wait_for(lambda: cluster.ledger()["events"]["applied"] >= 20, 30, "the orders are applied")
    publish(cluster, "cart-updates", carts(at, [*BUYERS, *OTHERS]))
    wait_for(lambda: set(reminders(cluster)) >= set(OTHERS), 60, "those who did not buy are reminded")
    assert set(reminders(cluster)) == set(OTHERS)
