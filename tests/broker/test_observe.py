"""A real Prometheus over a real cluster: every dashboard has figures, alerts fire when something breaks, logs name nobody."""

import json
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiosmtpd.controller import Controller
from rocksdict import WriteBatch

from agents.console.serve import serve_in_thread
from agents.localkafka import free_port
from deploy.dashboards import DASHBOARDS
from pipeline.journal.records_clock import IngestState
from pipeline.runtime.folder import Folder, meta_key
from tests.acceptance.running import parcours
from tests.broker.cluster import Cluster, wait_for
from tests.broker.histories import Mailbox
from tests.broker.test_no_wrong_reminder import MINUTE_MS, PARTITIONS, carts, now_ms, publish
from tests.observe.watching import Prometheus, prometheus, short_rules

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]
# The shipped rules wait for minutes: the drills shorten what they wait for, and nothing else.
SHORT = {"WatermarkStuck": {"> 120": "> 15"}, "LedgerOpen": {"[5m]": "[5s]"}, "BreakerOpen": {}}
APPLIED = 'parcours_partition_events{state="applied"}'
QUERIES = [query for panels in DASHBOARDS.values() for panel in panels for _, query in panel.queries]


@dataclass
class Watched:
    """A cluster, the relay of its sender, and the Prometheus that scrapes it."""

    cluster: Cluster
    relay_port: int
    mailbox: Mailbox = field(default_factory=Mailbox)
    relay: Any = None
    reader_of_orders: "subprocess.Popen[bytes] | None" = None
    ports: list[int] = field(default_factory=list)
    prometheus: Prometheus | None = None

    def start_relay(self) -> None:
        self.relay = Controller(self.mailbox, hostname="127.0.0.1", port=self.relay_port)
        self.relay.start()

    def stop_relay(self) -> None:
        if self.relay is not None:
            self.relay.stop()
        self.relay = None

    def port(self) -> tuple[str, str]:
        self.ports.append(free_port())
        return "--metrics-port", str(self.ports[-1])


def people(wave: str) -> list[str]:
    return [f"{wave}-customer-{number}" for number in range(8)]


def sign_ups(wave: str) -> list[dict[str, Any]]:
    """Sign-ups with addresses and names that no log may repeat."""
    return [
        {"type": "customer_signed_up", "customer": one, "occurred_at": now_ms(), "email": f"{one}@private.example"}
        | {"first_name": f"Firstname-{one}"}
        for one in people(wave)
    ]


def orders(wave: str) -> list[dict[str, Any]]:
    said = {"type": "order_placed", "total": 20}
    return [{**said, "customer": one, "occurred_at": now_ms(), "order_id": f"o-{one}"} for one in people(wave)]


def shop(watched: Watched, wave: str) -> None:
    """One wave: people who sign up and order, others whose reminder falls due at once, and a record of no use."""
    cluster, asked = watched.cluster, watched.prometheus
    assert asked is not None
    before = sum(asked.values(APPLIED))
    publish(cluster, "cart-updates", sign_ups(wave))
    wait_for(lambda: sum(asked.values(APPLIED)) >= before + len(people(wave)), 60, "their addresses are known")
    soon = now_ms() - 45 * MINUTE_MS + 3_000
    publish(cluster, "cart-updates", carts(soon, [f"{one}-cart" for one in people(wave)]))
    publish(cluster, "orders", orders(wave))
    publish(cluster, "orders", [{"type": "order_placed", "customer": f"{wave}-x", "occurred_at": 1, "total": "much"}])


@pytest.fixture(scope="module")
def watched(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("observed")
    sources = [{"name": name, "mapping": "native", "delay": "1s"} for name in ("cart-updates", "orders")]
    cluster = Cluster(kafka, folder, sources, {"consent_default": "granted"})
    cluster.topics_apply(PARTITIONS)
    one = Watched(cluster, free_port())
    halves = []
    for said in json.loads(cluster.sources.read_text())["sources"]:
        halves.append(folder / f"{said['name']}.yaml")
        halves[-1].write_text(json.dumps({"sources": [said]}))
    one.start_relay()
    try:
        cluster.ingest(*one.port(), sources=halves[0])
        one.reader_of_orders = cluster.ingest(*one.port(), sources=halves[1])
        cluster.start("journeys", "--data", folder / "journeys", "--instance", "a", *one.port())
        relay = f"smtp://127.0.0.1:{one.relay_port}"
        cluster.start("sender", "--channel", "email", "--smtp", relay, *one.port())
        targets = [f"127.0.0.1:{port}" for port in one.ports]
        with prometheus(folder / "prometheus", targets, short_rules(SHORT)) as one.prometheus:
            wait_for(lambda: one.prometheus.values("sum(parcours_partitions_open)") == [4], 90, "all partitions open")
            yield one
    finally:
        cluster.stop()
        one.stop_relay()


def test_every_query_of_every_dashboard_has_figures(watched: Watched) -> None:
    assert watched.prometheus is not None
    asked = watched.prometheus
    shop(watched, "first")
    # A series that begins has not increased yet: what follows is seen against the first wave.
    wait_for(lambda: asked.values('sum(parcours_receipts_total{state="sent"})') >= [8], 60, "the first wave is sent")
    wait_for(lambda: asked.values("sum(parcours_timer_lateness_seconds_count)") > [0], 60, "timers were woken")
    shop(watched, "second")
    wait_for(lambda: asked.values('sum(parcours_receipts_total{state="sent"})') >= [16], 60, "the second is sent")
    empty = list(QUERIES)

    def all_answered() -> bool:
        empty[:] = [query for query in empty if not asked.values(query)]
        return not empty

    try:
        wait_for(all_answered, 45, "every query answers")
    except AssertionError:
        raise AssertionError(f"no figures: {empty}") from None
    assert asked.values("sum(parcours_dead_letters_total)") == [2]
    assert asked.values('sum(parcours_partition_events{state="in"})') == asked.values(
        'sum(parcours_partition_events{state=~"applied|duplicate|dead_lettered"})'
    )


def test_a_reader_that_stands_still_is_named_by_its_source(watched: Watched) -> None:
    asked, reader = watched.prometheus, watched.reader_of_orders
    assert asked is not None and reader is not None
    wait_for(lambda: not asked.firing("WatermarkStuck"), 60, "all sources tick")
    reader.send_signal(signal.SIGSTOP)
    try:
        found = wait_for(lambda: asked.firing("WatermarkStuck"), 60, "the alert fires")
    finally:
        reader.send_signal(signal.SIGCONT)
    assert {labels["source"].split("/")[0] for labels in found} == {"orders"}
    wait_for(lambda: not asked.firing("WatermarkStuck"), 60, "the alert ends when the reader goes on")


def test_a_relay_that_is_down_opens_the_breaker_and_its_return_closes_it(watched: Watched) -> None:
    asked = watched.prometheus
    assert asked is not None
    wait_for(lambda: asked.values("sum(parcours_breaker_open)") == [0], 30, "the breaker is closed")
    watched.stop_relay()
    publish(watched.cluster, "cart-updates", sign_ups("third"))
    publish(watched.cluster, "orders", orders("third"))
    [labels] = wait_for(lambda: asked.firing("BreakerOpen"), 60, "the alert fires")
    assert (labels["channel"], labels["provider"]) == ("email", "smtp")
    watched.start_relay()
    wait_for(lambda: not asked.firing("BreakerOpen"), 90, "the alert ends when the relay takes mail again")


def test_no_log_line_names_anybody_and_each_is_json(watched: Watched) -> None:
    logged = "".join(watched.cluster.log_of(kind) for kind in ("ingest", "journeys", "sender"))
    assert logged, "nothing was logged"
    assert all(isinstance(json.loads(line), dict) for line in logged.splitlines())
    assert "-customer-" not in logged, "a customer id, an address or a name"
    assert "private.example" not in logged


def test_an_event_that_went_missing_behind_the_ledger_s_back_is_told(tmp_path: Path) -> None:
    rows = tmp_path / "shop.ndjson"
    rows.write_text('{"type":"order_placed","customer":"c2","occurred_at":"2026-01-05T10:02:00Z"}\n')
    said = ("--mapping", "native", "--until-end", "--no-console")
    done = parcours("run", "--data", tmp_path / "d", "--input", rows, *said)
    assert done.returncode == 0, done.stderr
    folder = Folder(tmp_path / "d")
    url, close = serve_in_thread(folder, 0)
    try:
        target = url.removeprefix("http://").split("/")[0]
        with prometheus(tmp_path / "prometheus", [target], short_rules(SHORT)) as asked:
            assert wait_for(lambda: asked.values('parcours_ledger_events{state="in"}'), 30, "the ledger is scraped")
            assert not asked.firing("LedgerOpen")
            raw = folder.get("ingest")
            assert raw is not None
            state = msgspec.json.decode(raw, type=IngestState)
            batch = WriteBatch(raw_mode=True)
            batch.put(meta_key("ingest"), msgspec.json.encode(msgspec.structs.replace(state, events=state.events + 1)))
            folder.write(batch)
            wait_for(lambda: asked.firing("LedgerOpen"), 60, "the alert fires")
    finally:
        close()
        folder.close()
