"""History through a real broker: the same commands as in one process, whatever is killed, frozen, joins or leaves."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller

from agents import localkafka
from tests.acceptance.running import REES46, lines_of, run_history
from tests.broker.cluster import Cluster, wait_for
from tests.broker.histories import OPEN, Mailbox, check_same

pytestmark = [
    pytest.mark.broker,
    pytest.mark.data,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not REES46.exists(), reason=f"the real store data is not at {REES46}"),
]
END = "2019-10-08T02:50:00Z"  # the last event plus seven days


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("embedded")
    subprocess.run(run_history(data, REES46, "rees46", "7d"), check=True, capture_output=True, timeout=120)
    return data


@pytest.fixture(scope="module")
def expected(embedded: Path) -> set[str]:
    return {row["id"] for row in lines_of("commands", "--data", embedded)}


@pytest.fixture(scope="module")
def mails(embedded: Path) -> int:
    """How many of the commands are mail: what goes to sales has no sender here."""
    return sum(row["channel"] == "email" for row in lines_of("commands", "--data", embedded))


@pytest.fixture
def cluster(kafka: str, tmp_path: Path) -> Iterator[Cluster]:
    one = Cluster(kafka, tmp_path, [{"name": "rees46", "mapping": "rees46"}], OPEN)
    one.topics_apply()
    one.run("produce", "--input", REES46, "--mapping", "rees46", "--topic", one.topic_of["rees46"])
    yield one
    one.stop()


def read_history(cluster: Cluster) -> None:
    assert cluster.ingest("--clock", "records").wait(timeout=120) == 0, cluster.log_of("ingest")
    cluster.run("advance", "--to", END, "--prefix", cluster.prefix)


def finished(cluster: Cluster) -> bool:
    ledger = cluster.ledger()
    return bool(ledger["watermark"] == END and ledger["events"]["applied"] + ledger["events"]["duplicate"] == 17_435)


def test_two_journeys_and_a_sender_give_what_one_process_gives(
    cluster: Cluster, expected: set[str], mails: int, embedded: Path
) -> None:
    mailbox = Mailbox()
    port = localkafka.free_port()
    relay = Controller(mailbox, hostname="127.0.0.1", port=port)
    relay.start()
    try:
        read_history(cluster)
        cluster.journeys("a")
        cluster.journeys("b")
        wait_for(lambda: finished(cluster), 90, "the journal is read to its end")
        check_same(cluster, expected, embedded)
        wait_for(lambda: cluster.lag("journeys", cluster.topics.journal) == 0, 10, "lag monitors see it read")
        cluster.start("sender", "--channel", "email", "--smtp", f"smtp://127.0.0.1:{port}")
        # Customers of this history have no address: SMTP refuses each with a reason, and the ledger closes.
        wait_for(lambda: cluster.ledger()["commands"]["rejected"] == mails, 60, "every mail has its end")
        ends = cluster.ledger()["commands"]
        assert ends["pending"] == len(expected) - mails
        assert mailbox.commands == []
    finally:
        relay.stop()


def test_kill_9_in_mid_transaction_and_a_frozen_worker_change_nothing(
    cluster: Cluster, expected: set[str], embedded: Path
) -> None:
    read_history(cluster)
    pausing = {"PARCOURS_TEST_PAUSE_IN_TRANSACTION_S": "25"}
    victim = cluster.journeys("a", env=pausing)
    markers = cluster.folder / "journeys-a"
    wait_for(lambda: list(markers.glob("in-transaction-*")), 40, "a transaction is open with all its records sent")
    victim.kill()
    victim.wait()
    assert cluster.rows("commands") == [], "an open transaction was visible"
    frozen = cluster.journeys("b", env=pausing)
    markers = cluster.folder / "journeys-b"
    wait_for(lambda: list(markers.glob("in-transaction-*")), 40, "the second worker is in a transaction")
    frozen.send_signal(signal.SIGSTOP)
    cluster.journeys("c")
    wait_for(lambda: finished(cluster), 120, "the third worker has taken over and read everything")
    frozen.send_signal(signal.SIGCONT)
    wait_for(lambda: '"fenced"' in cluster.log_of("journeys"), 60, "the thawed worker was fenced")
    check_same(cluster, expected, embedded)


def test_a_worker_that_joins_and_leaves_changes_nothing(cluster: Cluster, expected: set[str], embedded: Path) -> None:
    cluster.journeys("a")
    cluster.journeys("b")
    third = cluster.journeys("c")
    read_history(cluster)
    wait_for(lambda: '"assigned"' in cluster.log_of("journeys"), 30, "the group has formed")
    third.terminate()
    third.wait(timeout=20)
    wait_for(lambda: finished(cluster), 90, "the journal is read to its end")
    check_same(cluster, expected, embedded)
