"""A customer is forgotten on a cluster: no state, the hash of the address alone, and what topics keep with its time."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agents.cli.main import parcours
from pipeline.sending.suppressions import Suppression
from tests.broker.cluster import wait_for
from tests.broker.test_collector_kafka import LINKS, SECRET, Shop

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]


class Erasing(Shop):
    """A cluster without a collector, whose journeys worker knows the secret that hashes addresses."""

    def start(self) -> None:
        cluster, secret = self.cluster, {"PARCOURS_SECRET": SECRET}
        cluster.start("ingest", "--plan", self.folder / "plan", "--sources", cluster.sources)
        cluster.journeys("a", env=secret)
        wait_for(lambda: "plan" in self.keys(cluster.topics.plans), 60, "the plan is live")
        cluster.start("sender", "--outbox", self.folder / "outbox", env=secret)

    def verified(self, who: str) -> tuple[int, dict[str, Any]]:
        """Say what `erase verify` exits with and finds."""
        words = ["erase", "verify", who, "--kafka", "--json"]
        words += ["--bootstrap", self.cluster.bootstrap, "--prefix", self.cluster.prefix]
        done = CliRunner().invoke(parcours, words, standalone_mode=False)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        rows = {row["what"]: row for row in map(json.loads, done.output.splitlines())}
        return int(done.return_value or 0), rows

    def ends(self, who: str) -> list[tuple[str, str]]:
        """Return what became of somebody's messages."""
        found = [json.loads(one.value) for one in self.records(self.cluster.topics.receipts)]
        return [
            (one["state"], one.get("reason", ""))
            for one in found
            if one["customer"] == who and one["state"] != "intent"
        ]


@pytest.fixture
def shop(kafka: str, tmp_path: Path) -> Iterator[Erasing]:
    one = Erasing(kafka, tmp_path)
    try:
        one.start()
        yield one
    finally:
        one.cluster.stop()


def test_who_asks_is_forgotten_on_a_cluster_and_a_later_import_mails_them_no_marketing(shop: Erasing) -> None:
    names = ["c1", "c2"]
    shop.sign_up(*names)
    shop.did("search_performed", *names)  # waits for a person at the sender
    shop.did("product_viewed", *names)
    wait_for(lambda: len(shop.ends("c1")) >= 2 and len(shop.ends("c2")) >= 2, 60, "one is sent, one is held")
    code, before = shop.verified("c1")
    left = {what for what, row in before.items() if row["until"] is None}
    assert (code, left) == (1, {"state", "unsent commands"})

    shop.cluster.run("erase", "c1", "--kafka", "--yes", "--prefix", shop.cluster.prefix)
    code, after = wait_for(lambda: (found := shop.verified("c1"))[0] == 0 and found, 60, "nothing readable is left")
    journal = after[f"records of {shop.cluster.topics.journal}"]
    until = datetime.fromisoformat(journal["until"].removesuffix(" (retention)")).timestamp()
    days = (until - datetime.now(UTC).timestamp()) / 86_400
    assert 29.9 < days <= 30.1, journal
    assert f"earlier states in {shop.cluster.topics.changelog}" in after
    assert shop.verified("c2")[0] == 1

    key = Suppression(address=LINKS.address_hash("email", "c1@shop.example"), kind="erased", at=0).key
    assert shop.keys(shop.cluster.topics.suppressions) == {key}
    wait_for(lambda: "cancelled" in {state for state, _ in shop.ends("c1")}, 30, "what was held is cancelled")

    again = {"type": "customer_signed_up", "customer": "c9", "email": "C1@shop.example"}
    shop.publish(again | {"consents": [{"for_channel": "email", "given": True}]})
    shop.did("product_viewed", "c9", "c2")
    wait_for(lambda: shop.ends("c9"), 30, "the message to the address is ended")
    assert shop.ends("c9") == [("rejected", "suppressed: erased")]
    # The receipt of what was cancelled has come back by now (c9's came behind it), and has begun nothing.
    wait_for(lambda: "c9" in shop.cluster.customers(), 30, "the engine has heard of it")
    assert shop.verified("c1")[0] == 0
