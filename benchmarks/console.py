"""The console over a large read model: PostgreSQL on this machine, from a package.

The tables are filled in the server by generate_series, in the shape that the projector gives them: the rows of records
spread over 90 days and all customers, the sums over 400 days. Pages are asked as the console's process answers them,
in one process, without a network.
"""

import asyncio
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Connection, Engine, text

from agents.console.app import Access, build_cluster
from agents.console.cluster_place import ClusterPlace
from agents.console.tokens import token_of
from agents.projector import schema
from agents.projector.database import migrate, open_database
from agents.projector.projector import KEPT, PLAN
from models.customer import Customer
from models.progress import Progress
from models.topics import Topics
from pipeline.scenario.sources import read_sources
from pipeline.store.codec import encode_hot, encode_progress
from tests.projector.postgres import running

NEWEST = 1_767_610_800_000
DAY_MS = 86_400_000
NAMES = ("abandoned-cart", "purchase", "welcome", "win-back")
SCENARIOS = "array['abandoned-cart','purchase','welcome','win-back']"
DAY = "(date '2026-01-05' - {n}::int)::text"
REASONS = "array['due','order_placed','no_consent','cap_reached','cart_changed']"
OUTCOMES = "array['entered','sent','exited','not_entered','suppressed','goal']"
AT = f"{NEWEST} - (i % 7776000) * 1000::bigint"
WHO = "'c' || ((i * 7919::bigint) % {customers})"
PAGES = (
    "/", "/messages", "/customer/c{n}", "/dead-letters", "/health", "/map?days=30", "/map?days=90", "/funnels",
    "/scenario/abandoned-cart", "/scenario/abandoned-cart?days=90", "/scenario/abandoned-cart/inside", "/segments",
    "/segments/segment-1",
)  # fmt: skip
ASKED = 40


def _fills(customers: int, decisions: int) -> Iterable[tuple[str, int, str]]:
    """Yield table, rows, and the columns of row i."""
    who = WHO.format(customers=customers)
    scenario, step = f"({SCENARIOS})[1 + i % 4]", "'reminder-' || i % 3"
    ended = "case when i % 10 = 0 then '' else 'exited' end"
    yield (
        "decisions", decisions,
        f"i % 8, i, {AT}, {who}, ({OUTCOMES})[1 + i % 6], ({REASONS})[1 + i % 5], {scenario}, md5(i::text), {step},"
        " md5(i::text), '', 'v1', ''",
    )  # fmt: skip
    yield "events", decisions // 2, f"i % 8, i, 0, {AT}, {who}, md5(i::text), 'product_viewed', '{{}}'"
    yield (
        "receipts", decisions // 10,
        f"i % 8, i, {AT}, {who}, md5(i::text), 'sent', '', 'email', {scenario}, {step}, 'smtp'",
    )  # fmt: skip
    yield (
        "commands", decisions // 10,
        f"md5(i::text), {who}, {scenario}, {step}, 'email', 'marketing', md5(i::text), 'v1', 'orders', i, {AT}, {AT},"
        f" 'sent', '', {AT}, 0, 0",
    )  # fmt: skip
    yield (
        "enrolments", decisions // 10,
        f"md5(i::text), {who}, {scenario}, 'v1', {AT}, {DAY.format(n='i % 90')}, i % 10 = 1, {step}, {ended}, {AT},"
        " 0, 0",
    )  # fmt: skip
    yield "dead_letters", 20_000, f"0, i, {AT}, 'intake', 'no customer', 'orders', 0, i, '$.customer', null, 0"
    day = DAY.format(n="i % 400")
    combination = f"{SCENARIOS[:-1]},'browse','birthday','vip','lapse'])[1 + (i / 400) % 8]"
    yield (
        "counts", 400 * 8 * 60,
        f"{day}, ({combination}, 'v1', ({OUTCOMES})[1 + (i / 3200) % 6], 'step-' || (i / 19200) % 10, 'due', 9",
    )  # fmt: skip
    yield (
        "nodes", 400 * 200, f"{day}, case when (i / 400) % 10 = 0 then '' else 'segment-' || (i / 400) % 10 end,"
        " 'place-' || (i / 4000) % 20, 9, 1, 100, 3",
    )  # fmt: skip
    yield (
        "edges", 400 * 2_000, f"{day}, case when (i / 400) % 10 = 0 then '' else 'segment-' || (i / 400) % 10 end,"
        " 'place-' || (i / 4000) % 20, 'place-' || (i / 80000) % 10, 9, 900, 100",
    )  # fmt: skip
    yield "stages", 400 * 100, f"{day}, 'buying', 1 + (i / 400) % 4, 'segment-' || (i / 1600) % 25, 'phone', 'web', 9"
    yield "memberships", 400 * 10, f"{day}, 'segment-' || (i / 400) % 10, 900, 800"
    yield "members", customers, f"'c' || i, 'segment-' || i % 10, {AT}"
    yield "visitors", customers, f"'c' || i, '\\x90'::bytea, {AT}"


def fill(engine: Engine, customers: int, decisions: int) -> None:
    """Fill the tables; indexes are made afterwards, as one makes them over what is there."""
    with engine.begin() as connection:
        for name, number, columns in _fills(customers, decisions):
            table = schema.metadata.tables[name]
            listed = ", ".join(f'"{one.name}"' for one in list(table.columns)[: _width(columns)])
            for index in table.indexes:
                index.drop(connection)
            said = f"insert into {name} ({listed}) select {columns} from generate_series(0, {number - 1}) i"
            driver: Any = connection.connection.driver_connection
            driver.cursor().execute(f"{said} on conflict do nothing")
            for index in table.indexes:
                index.create(connection)
        _states(connection, customers)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("vacuum analyze"))


def _width(columns: str) -> int:
    """Count the columns of a list of expressions: later releases add columns behind them."""
    depth, width = 0, 1
    for letter in columns:
        depth += (letter in "([") - (letter in ")]")
        width += letter == "," and depth == 0
    return width


def _states(connection: Connection, customers: int) -> None:
    hot = encode_hot(Customer(id="x"))
    said = "insert into customers select 'c' || i, 'h', :hot from generate_series(0, :last) i"
    connection.execute(text(said), {"hot": hot, "last": customers - 1})
    plan = read_sources(Path("scenarios"))
    rows = {PLAN: plan.hash.encode(), f"{KEPT}{plan.hash}": plan.encode()}
    for number in range(8):
        one = Progress(journal="j", partitions=8, partition=number, lineage="l", watermark=NEWEST, plan=plan.hash)
        rows[f"progress/{number}"] = encode_progress(one)
    for name, value in rows.items():
        connection.execute(schema.meta.insert().values(name=name, value=value))


async def _ask(engine: Engine, folder: Path, customers: int) -> dict[str, float]:
    access = Access.of_folder(folder)
    app = build_cluster(ClusterPlace(engine, "127.0.0.1:1", Topics()), access)
    found = {}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", follow_redirects=True) as client:
        (await client.get("/", params={"token": token_of(folder)})).raise_for_status()
        for page in PAGES:
            took = []
            for number in range(ASKED):
                began = time.perf_counter()
                answer = await client.get(page.format(n=(number * 104_729) % customers))
                took.append((time.perf_counter() - began) * 1000)
                assert answer.status_code == 200, (page, answer.status_code)
            found[f"console {page}, p95 of {ASKED}, ms"] = sorted(took)[round(ASKED * 0.95) - 1]
    return found


def pages(customers: int, decisions: int) -> dict[str, float]:
    """Measure every page over that many customers and decisions."""
    with running() as server, tempfile.TemporaryDirectory() as folder:
        engine = open_database(server.url)
        migrate(engine)
        began = time.perf_counter()
        fill(engine, customers, decisions)
        took = time.perf_counter() - began
        try:
            return {"read model filled, s": took, **asyncio.run(_ask(engine, Path(folder), customers))}
        finally:
            engine.dispose()
