"""A year of a real shop's invoices through a real broker: the same commands and states as in one process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller

from agents import localkafka
from tests.acceptance.running import RETAIL, lines_of
from tests.broker.cluster import Cluster, wait_for
from tests.broker.histories import OPEN, Mailbox, check_same
from tests.reference import uci_fold

pytestmark = [
    pytest.mark.broker,
    pytest.mark.data,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not RETAIL.exists(), reason=f"the real store data is not at {RETAIL}"),
]
END = "2012-01-08T12:50:00Z"  # the last invoice plus thirty days


@pytest.fixture
def cluster(kafka: str, tmp_path: Path) -> Iterator[Cluster]:
    one = Cluster(kafka, tmp_path, [{"name": "uci-retail", "mapping": "uci-retail"}], OPEN)
    one.topics_apply()
    one.run("produce", "--input", RETAIL, "--mapping", "uci-retail", "--topic", one.topic_of["uci-retail"])
    yield one
    one.stop()


def test_a_year_of_invoices_gives_on_a_cluster_what_it_gives_in_one_process(cluster: Cluster, retail_run: Path) -> None:
    mailbox = Mailbox()
    port = localkafka.free_port()
    relay = Controller(mailbox, hostname="127.0.0.1", port=port)
    relay.start()
    try:
        cluster.start("sender", "--channel", "email", "--smtp", f"smtp://127.0.0.1:{port}")
        cluster.journeys("a")
        cluster.journeys("b")
        assert cluster.ingest("--clock", "records").wait(timeout=300) == 0, cluster.log_of("ingest")
        cluster.run("advance", "--to", END, "--prefix", cluster.prefix)
        wait_for(lambda: cluster.ledger()["watermark"] == END, 240, "the journal is read to its end")
        rows = lines_of("commands", "--data", retail_run)
        expected = {row["id"] for row in rows}
        mails = sum(row["channel"] == "email" for row in rows)
        # In the file a line of somebody else stands within one invoice; a topic by customer brings its lines together.
        apart = frozenset(uci_fold.fold(RETAIL).apart)
        assert apart == {"12836"}
        check_same(cluster, expected, retail_run, but=apart)
        wait_for(
            lambda: cluster.ledger()["commands"]["pending"] == len(expected) - mails, 120, "every mail has its end"
        )
        ledger, here = cluster.ledger(), lines_of("ledger", "--data", retail_run)[0]
        assert here["events"]["duplicate"] - ledger["events"]["duplicate"] == len(apart)
        assert ledger["events"]["dead_lettered"] == here["events"]["dead_lettered"]
        # In one process each message's end is an event too; here the history had been read before the first call.
        assert ledger["events"]["applied"] == here["events"]["applied"] - len(expected)
        assert sum(ledger["commands"][end] for end in ("sent", "rejected", "expired", "cancelled")) == mails
    finally:
        relay.stop()
