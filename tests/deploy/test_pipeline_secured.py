"""The whole pipeline where every connection to Kafka logs in by SCRAM over TLS: events in, a mail out."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller

from agents.localkafka import free_port
from tests.broker.cluster import Cluster, wait_for
from tests.broker.histories import Mailbox
from tests.broker.test_no_wrong_reminder import MINUTE_MS, carts, now_ms, publish
from tests.deploy.secured import SecuredBroker

pytestmark = [pytest.mark.broker, pytest.mark.timeout(180)]


@pytest.fixture
def cluster(secured: SecuredBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    for name, value in secured.environment("SCRAM", "SCRAM-SHA-512").items():
        monkeypatch.setenv(name, value)
    one = Cluster(
        secured.bootstrap("SCRAM"),
        tmp_path,
        [{"name": "cart-updates", "mapping": "native", "delay": "1s"}],
        {"consent_default": "granted"},
    )
    one.topics_apply(2)
    yield one
    one.stop()


def test_a_reminder_goes_out(cluster: Cluster) -> None:
    port, mailbox = free_port(), Mailbox()
    relay = Controller(mailbox, hostname="127.0.0.1", port=port)
    relay.start()
    try:
        cluster.ingest()
        cluster.journeys("a")
        cluster.start("sender", "--channel", "email", "--smtp", f"smtp://127.0.0.1:{port}")
        said = {"type": "customer_signed_up", "customer": "a", "occurred_at": now_ms(), "email": "a@private.example"}
        publish(cluster, "cart-updates", [said])
        wait_for(lambda: cluster.ledger()["events"]["applied"] >= 1, 60, "the address is known")
        publish(cluster, "cart-updates", carts(now_ms() - 45 * MINUTE_MS + 1_000, ["a"]))
        wait_for(lambda: mailbox.commands, 60, "the reminder arrives")
        assert "all topics are as they should be" in cluster.run(
            "topics", "verify", "--partitions", "2", "--prefix", cluster.prefix
        )
    finally:
        relay.stop()


def test_what_is_not_logged_in_is_told_so(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAFKA_SASL_PASSWORD_FILE")
    with pytest.raises(AssertionError, match="SCRAM-SHA-512 needs KAFKA_SASL_PASSWORD"):
        cluster.run("topics", "verify", "--prefix", cluster.prefix)
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", json.dumps("guessed"))
    with pytest.raises(AssertionError, match=r"Kafka: .*are the brokers up, and do --bootstrap"):
        cluster.run("topics", "verify", "--prefix", cluster.prefix)
