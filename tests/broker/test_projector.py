"""The read model of a cluster: what the topics say, once, whatever is killed; away, it is missed by nobody."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from agents.kafka.control import live_sources
from agents.kafka.reading import KafkaReader
from agents.localkafka import free_port
from agents.projector.database import open_database
from tests.broker.cluster import Cluster, wait_for
from tests.console.kit import do
from tests.projector.kit import ask, tables
from tests.projector.postgres import Server, running

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]
PARTITIONS = 4
CUSTOMERS = 40
OPEN = {"consent_default": "granted", "require_address": "false"}


def history(path: Path, hour: int) -> Path:
    """An hour in the shop: everybody looks and fills a cart, a third orders, a record is of no use."""
    rows: list[dict[str, Any]] = []
    for number in range(CUSTOMERS):
        who, at = f"c{number}", f"2026-01-05T{hour:02d}:{number:02d}"
        rows.append({"type": "product_viewed", "customer": who, "occurred_at": f"{at}:00Z", "product_id": "p1"})
        items = [{"product_id": f"p{hour}", "price": 20}]
        rows.append({"type": "cart_updated", "customer": who, "occurred_at": f"{at}:20Z", "items": items})
        if number % 3 == 0:
            order = {"order_id": f"o{hour}-{number}", "total": 20}
            rows.append({"type": "order_placed", "customer": who, "occurred_at": f"{at}:40Z", **order})
    rows.append(
        {"type": "order_placed", "customer": "c1", "occurred_at": f"2026-01-05T{hour:02d}:59:00Z", "total": "x"}
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as one:
        yield one


@pytest.fixture
def cluster(kafka: str, tmp_path: Path) -> Iterator[Cluster]:
    one = Cluster(kafka, tmp_path, [{"name": "shop", "mapping": "native"}], OPEN)
    one.topics_apply(PARTITIONS)
    publish(one, 8)
    one.ingest("--clock", "records", "--follow")
    wait_for(lambda: asyncio.run(live_sources(kafka, one.topics)), 60, "the plan is stored")
    one.journeys("a")
    one.start("sender", "--channel", "email", "--outbox", tmp_path / "outbox")
    yield one
    one.stop()


def publish(cluster: Cluster, hour: int) -> None:
    file = history(cluster.folder / f"{hour}.ndjson", hour)
    cluster.run("produce", "--input", file, "--mapping", "native", "--topic", cluster.topic_of["shop"])


def database(server: Server, name: str) -> tuple[str, Engine]:
    admin = open_database(server.url)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"create database {name}"))
    admin.dispose()
    url = f"{server.url.rpartition('/')[0]}/{name}"
    return url, open_database(url)


def reader(cluster: Cluster) -> KafkaReader:
    return KafkaReader(cluster.bootstrap, cluster.topics)


def settled(cluster: Cluster) -> bool:
    """Say whether the pipeline has done all that the log asks for."""
    found = reader(cluster).ledger()
    return bool(found["commands"]["in"] and found["commands"]["pending"] == 0)


def same_as_topics(cluster: Cluster, engine: Engine) -> None:
    """Wait until the read model has come to the topics' ends, and hold it against what the reading commands say."""
    said = reader(cluster)
    wait_for(lambda: there(engine, "decisions"), 60, "the projector writes")
    decisions, commands = list(said.decisions()), list(said.commands())
    wait_for(lambda: ask(engine, "select count(*) from decisions") == [(len(decisions),)], 60, "decisions are in")
    ends = "select count(*) from commands where ended_at > 0"
    wait_for(lambda: ask(engine, ends) == [(len(commands),)], 60, "the messages' ends are in")
    letters = len(list(said.dead_letters()))
    wait_for(lambda: ask(engine, "select count(*) from dead_letters") == [(letters,)], 30, "dead letters are in")
    assert {row[0] for row in ask(engine, "select id from commands")} == {row["id"] for row in commands}
    by_outcome: dict[str, int] = {}
    for row in decisions:
        by_outcome[row["outcome"]] = by_outcome.get(row["outcome"], 0) + 1
    counted = "select outcome, sum(n) from counts where outcome not like 'receipt_%' group by 1"
    found = {outcome: int(n) for outcome, n in ask(engine, counted) if outcome in by_outcome}
    assert found == by_outcome
    known = {row[0] for row in ask(engine, "select id from customers where kind = 'h'")}
    assert known == {one["id"] for one in said.customers()}


def log_of_the_log(engine: Engine) -> dict[str, Any]:
    """Return all tables, without what says how far a process is.

    The changelog keeps last values alone: who was in a segment when is known to who read it then, so these columns of
    what was made again differ.
    """
    found = tables(engine)
    for name in ("memberships", "members", "visitors"):
        del found[name]
    for name, column in (("nodes", 1), ("edges", 1), ("stages", 3)):
        found[name] = [row for row in found[name] if row[column] == ""]
    found["attempts"] = [row[:6] for row in found["attempts"]]
    found["meta"] = [row for row in found["meta"] if not row[0].startswith("projector/")]
    return found


def test_killed_shared_and_rebuilt_the_read_model_is_what_the_topics_say(cluster: Cluster, server: Server) -> None:
    url, engine = database(server, "killed")
    first = cluster.start("projector", "--database", url)
    wait_for(lambda: there(engine, "decisions"), 60, "the projector writes")
    first.kill()
    first.wait()
    publish(cluster, 9)
    cluster.start("projector", "--database", url, "--instance", "a")
    cluster.start("projector", "--database", url, "--instance", "b")
    cluster.run("advance", "--to", "2026-01-08T00:00:00Z", "--prefix", cluster.prefix)
    wait_for(lambda: settled(cluster), 90, "the pipeline is done")
    same_as_topics(cluster, engine)

    again, rebuilt = database(server, "rebuilt")
    cluster.start("projector", "--database", again, "--group", "another")
    same_as_topics(cluster, rebuilt)
    wait_for(lambda: log_of_the_log(engine) == log_of_the_log(rebuilt), 30, "both say the same")
    engine.dispose()
    rebuilt.dispose()


def there(engine: Engine, table: str) -> bool:
    with engine.connect() as connection:
        made = engine.dialect.has_table(connection, table)
    return made and ask(engine, f"select count(*) from {table}") != [(0,)]


class Console:
    """The console of a cluster, asked over HTTP by who has its token."""

    def __init__(self, cluster: Cluster, url: str):
        data, port = cluster.folder / "console", free_port()
        cluster.start("console", "--database", url, "--port", str(port), "--data", data)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", follow_redirects=True, timeout=30)
        wait_for(self.listens, 60, "the console listens")
        assert self.client.get("/").status_code == 401
        assert self.client.get("/", params={"token": (data / "console.token").read_text()}).status_code == 200

    def listens(self) -> bool:
        try:
            return self.client.get("/login").status_code == 200
        except httpx.TransportError:
            return False

    def page(self, path: str) -> tuple[int, str]:
        found = self.client.get(path)
        return found.status_code, found.text


PAGES = (
    "/", "/messages", "/customer", "/customer/c2", "/dead-letters", "/health", "/map", "/funnels",
    "/scenario/abandoned-cart",
)  # fmt: skip


def test_the_console_shows_a_cluster_from_the_read_model(cluster: Cluster, server: Server) -> None:
    url, engine = database(server, "shown")
    cluster.start("projector", "--database", url)
    wait_for(lambda: there(engine, "customers") and there(engine, "dead_letters"), 120, "the projector writes")
    of_c2 = "select count(*) from events where customer = 'c2'"
    wait_for(lambda: ask(engine, of_c2) == [(2,)], 60, "what c2 did is in")
    console = Console(cluster, url)
    assert {path: console.page(path)[0] for path in PAGES} == dict.fromkeys(PAGES, 200)
    assert "The ledger closes" in console.page("/health")[1]
    assert "cart updated" in console.page("/customer/c2")[1]
    assert console.page("/customer/nobody")[0] == console.page("/nothing")[0] == 404
    console.client.close()
    engine.dispose()


def test_what_is_asked_for_on_the_pages_reaches_the_cluster_and_is_audited(cluster: Cluster, server: Server) -> None:
    url, engine = database(server, "asked")
    cluster.start("projector", "--database", url)
    wait_for(lambda: there(engine, "customers") and there(engine, "dead_letters"), 120, "the projector writes")
    wait_for(lambda: settled(cluster), 90, "the pipeline is at rest")
    console = Console(cluster, url)

    assert do(console.client, "/do/switch", scenario="abandoned-cart", state="paused").status_code == 200
    paused = [one.switches for one in reader(cluster).progress().values()]
    wait_for(
        lambda: [one.switches for one in reader(cluster).progress().values()] == [{"abandoned-cart": "paused"}] * 4,
        60,
        f"every partition has paused it, not {paused}",
    )
    wait_for(lambda: "Resume" in console.page("/control")[1], 30, "the page says so")

    exported = do(console.client, "/do/export", customer="c2").json()
    assert exported["customer"]["id"] == "c2" and exported["events"]
    assert do(console.client, "/do/replay", letters="0/0").status_code == 200
    assert do(console.client, "/do/erase", customer="c2", again="c2").status_code in {200, 404}
    wait_for(lambda: "c2" not in cluster.customers(), 60, "the engine has forgotten who is to be erased")
    wait_for(lambda: console.page("/customer/c2")[0] == 404, 30, "the read model too")
    done = [row[0] for row in ask(engine, "select action from audit order by at")]
    assert done == ["pause", "export", "replay", "erase"]
    console.client.close()
    engine.dispose()


def test_a_database_that_is_away_delays_nobody_and_is_caught_up(cluster: Cluster, server: Server) -> None:
    url, engine = database(server, "away")
    projector = cluster.start("projector", "--database", url)
    wait_for(lambda: there(engine, "decisions"), 60, "the projector writes")
    console = Console(cluster, url)
    server.stop()
    try:
        engine.dispose()
        # The form that asks for a customer needs no database.
        for path in sorted({*PAGES} - {"/customer"}):
            status, said = console.page(path)
            assert (status, "The read model cannot be asked now" in said) == (503, True), path
        publish(cluster, 9)
        cluster.run("advance", "--to", "2026-01-08T00:00:00Z", "--prefix", cluster.prefix)
        wait_for(lambda: settled(cluster), 90, "the pipeline goes on without the database")
        wait_for(lambda: "the read model waits" in cluster.log_of("projector"), 30, "the projector says why it waits")
        assert projector.poll() is None
    finally:
        server.start()
    same_as_topics(cluster, engine)
    assert [console.page(path)[0] for path in PAGES] == [200] * len(PAGES)
    console.client.close()
    engine.dispose()
