"""On the broker's clock: a source topic that is not the one that was read stops until an operator speaks."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.protocol.admin import DeleteGroupsRequest

from agents.kafka import clients
from tests.broker.cluster import Cluster, wait_for

pytestmark = [pytest.mark.broker, pytest.mark.timeout(200)]
SETTINGS = {"consent_default": "granted", "require_address": "false"}


@pytest.fixture
def cluster(kafka: str, tmp_path: Path) -> Iterator[Cluster]:
    sources = [{"name": "page-views", "mapping": "native", "delay": "1s"}]
    one = Cluster(kafka, tmp_path, sources, SETTINGS)
    one.topics_apply(1)
    yield one
    one.stop()


def publish(cluster: Cluster, customers: list[str]) -> None:
    async def send() -> None:
        producer = clients.producer(cluster.bootstrap)
        await producer.start()
        for name in customers:
            at = time.time_ns() // 1_000_000
            row: dict[str, Any] = {"type": "product_viewed", "customer": name, "occurred_at": at, "product_id": "p1"}
            await producer.send_and_wait(cluster.topic_of["page-views"], orjson.dumps(row), partition=0)
        await producer.stop()

    asyncio.run(send())


def lines(cluster: Cluster, *numbers: tuple[str, str]) -> None:
    """Publish invoice lines (invoice, product) of one customer."""

    async def send() -> None:
        producer = clients.producer(cluster.bootstrap)
        await producer.start()
        for invoice, product in numbers:
            row = {"InvoiceNo": invoice, "StockCode": product, "Quantity": "1", "UnitPrice": "2.5", "CustomerID": "17"}
            row |= {"InvoiceDate": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"), "Description": product}
            await producer.send_and_wait(cluster.topic_of["invoices"], orjson.dumps(row), partition=0)
        await producer.stop()

    asyncio.run(send())


def make_anew(cluster: Cluster) -> None:
    topic = cluster.topic_of["page-views"]

    async def again() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
        await admin.start()
        await admin.delete_topics([topic])
        await admin.close()

    async def create() -> bool:
        admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
        await admin.start()
        answer = await admin.create_topics([NewTopic(topic, 1, 1)])
        await admin.close()
        return all(code == 0 for _, code, *_ in answer.topic_errors)

    asyncio.run(again())
    wait_for(lambda: asyncio.run(create()), 20, "the topic is made anew")


def applied(cluster: Cluster) -> int:
    count: int = cluster.ledger()["events"]["applied"]
    return count


def test_a_topic_made_anew_is_not_read_until_its_source_is_reset_and_then_from_its_first_record(
    cluster: Cluster,
) -> None:
    cluster.journeys("a")
    ingest = cluster.ingest()
    publish(cluster, ["one", "two", "three"])
    wait_for(lambda: applied(cluster) == 3, 40, "the topic is read")
    lag = ("ingest", cluster.topic_of["page-views"])
    wait_for(lambda: cluster.lag(*lag) == 0, 10, "its offsets are committed")
    ingest.terminate()
    ingest.wait(timeout=20)

    make_anew(cluster)
    publish(cluster, ["four", "five", "six", "seven"])
    cluster.ingest()
    wait_for(lambda: '"source stopped"' in cluster.log_of("ingest"), 30, "the new topic was noticed")
    assert set(cluster.customers()) == {"one", "two", "three"}

    cluster.run("source", "reset", "page-views", "--partition", "0", "--prefix", cluster.prefix)
    wait_for(lambda: applied(cluster) == 7, 40, "the new topic is read from its first record on")
    assert set(cluster.customers()) == {"one", "two", "three", "four", "five", "six", "seven"}


def test_a_group_that_was_deleted_reads_the_same_topic_again_and_changes_nothing(cluster: Cluster) -> None:
    cluster.journeys("a")
    first = cluster.ingest()
    publish(cluster, ["one", "two"])
    wait_for(lambda: applied(cluster) == 2, 40, "the topic is read")
    lag = ("ingest", cluster.topic_of["page-views"])
    wait_for(lambda: cluster.lag(*lag) == 0, 10, "its offsets are committed")
    first.terminate()
    first.wait(timeout=20)

    async def forget() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
        await admin.start()
        node = await admin.find_coordinator(f"{cluster.prefix}ingest")
        answer = await admin._send_request_to_node(node, DeleteGroupsRequest([f"{cluster.prefix}ingest"]))
        assert [code for _, code in answer.results] == [0]
        await admin.close()

    asyncio.run(forget())
    publish(cluster, ["three"])
    cluster.ingest()
    wait_for(lambda: applied(cluster) == 3, 40, "the third is read")
    assert "source stopped" not in cluster.log_of("ingest")
    assert cluster.ledger()["events"]["duplicate"] == 2


def test_an_ingest_that_starts_again_goes_on_where_it_was(cluster: Cluster) -> None:
    cluster.journeys("a")
    first = cluster.ingest()
    publish(cluster, ["one", "two"])
    wait_for(lambda: applied(cluster) == 2, 40, "the topic is read")
    lag = ("ingest", cluster.topic_of["page-views"])
    wait_for(lambda: cluster.lag(*lag) == 0, 10, "its offsets are committed")
    first.terminate()
    first.wait(timeout=20)

    publish(cluster, ["three"])
    cluster.ingest()
    wait_for(lambda: applied(cluster) == 3, 40, "it goes on")
    assert "source stopped" not in cluster.log_of("ingest")
    assert cluster.ledger()["events"]["duplicate"] == 0


def test_a_reset_acts_on_an_ingest_that_runs_and_its_source_is_read_again_from_the_first_record(
    cluster: Cluster,
) -> None:
    cluster.journeys("a")
    cluster.ingest()
    publish(cluster, ["one", "two"])
    wait_for(lambda: applied(cluster) == 2, 40, "the topic is read")
    cluster.run("source", "reset", "page-views", "--partition", "0", "--prefix", cluster.prefix)
    wait_for(lambda: cluster.ledger()["events"]["duplicate"] == 2, 40, "it is read again, as a new epoch")
    publish(cluster, ["three"])
    wait_for(lambda: applied(cluster) == 3, 40, "and goes on")


def test_lines_of_one_order_are_one_order_though_the_ingest_is_killed_between_them(kafka: str, tmp_path: Path) -> None:
    sources = [{"name": "invoices", "mapping": "uci-retail", "delay": "1s"}]
    cluster = Cluster(kafka, tmp_path, sources, SETTINGS)
    try:
        cluster.topics_apply(1)
        cluster.journeys("a")
        first = cluster.ingest()
        lines(cluster, ("1", "p1"), ("2", "p2"), ("2", "p3"))
        wait_for(lambda: applied(cluster) == 1, 40, "the first order is closed by a line of the second")
        wait_for(lambda: cluster.lag("ingest", cluster.topic_of["invoices"]) == 2, 10, "its open lines are not passed")
        first.kill()
        first.wait()
        cluster.ingest()
        lines(cluster, ("2", "p4"), ("3", "p5"))
        wait_for(lambda: applied(cluster) == 2, 40, "the second order is closed")
        assert set(cluster.customers()["17"]["interests"]["products"]) == {"p1", "p2", "p3", "p4"}
        assert cluster.ledger()["events"]["duplicate"] == 0
    finally:
        cluster.stop()
