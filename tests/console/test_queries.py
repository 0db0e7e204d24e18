"""What the pages ask of the read model gets the same answers from both databases, over indexes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, text

from agents.console.queries import customers, journeys, scenarios, segments
from agents.console.queries.base import period
from agents.projector.database import empty
from models.membership import Membership
from tests.projector.kit import NOON, projector, shopping
from tests.projector.postgres import running


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running() as one:
        yield one.url


@pytest.fixture(params=["sqlite", "postgres"])
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connection]:
    made = projector(tmp_path if request.param == "sqlite" else request.getfixturevalue("server"))
    empty(made.engine)
    log = shopping(6)
    for name in ("c0", "c1"):
        log.put("memberships", msgspec.json.encode(Membership(customer=name, at=NOON, names=("vip",))))
    made.apply(log.records)
    with made.engine.connect() as found:
        yield found
    made.engine.dispose()


def test_a_customers_records_are_those_of_the_log(connection: Connection) -> None:
    found = customers.records(connection, "c0", None, NOON)
    assert [one.event.type for one in found.events] == [
        "product_viewed", "cart_item_added", "message_opened", "message_clicked", "message_clicked", "order_placed",
    ]  # fmt: skip
    assert found.events[0].event.position.source == "shop"
    assert [one.outcome for one in found.decisions] == ["entered", "sent"]
    assert [(one.id, one.step, one.plan) for one in found.commands] == [("m0", "reminder", "p")]
    assert [one.state for one in found.receipts] == ["sent"]
    assert len(found.plans) == 1 and found.whole
    assert customers.reactions(connection, "c0")["m0"]["opened"] == NOON + 50 * 60_000
    assert customers.memberships(connection, "c0") == [{"name": "vip", "since": NOON}]
    assert customers.records(connection, "nobody", None, NOON).nothing


def test_scenarios_segments_and_funnels_are_counted(connection: Connection) -> None:
    days = period(connection, 30)
    assert scenarios.spared(scenarios.steps(connection, "cart", days)) == 2
    assert scenarios.waiting(connection, "cart")["reminder"] == 2
    assert [one["customer"] for one in scenarios.inside_at(connection, "cart", "reminder")] == ["c4", "c2", "c0"]
    result = scenarios.results(connection, days)["cart"]
    assert (result.treated.entered, result.held_out.entered) == (4, 2)
    assert [one["inside"] for one in scenarios.versions(connection, "cart")] == [3]
    (vip,) = segments.sizes(connection, days)
    assert (vip["name"], vip["size"], vip["before"], vip["days"]) == ("vip", 2, 0, [("2026-01-05", 2)])
    assert [one["customer"] for one in segments.members(connection, "vip")] == ["c0", "c1"]
    assert journeys.segments(connection) == ["vip"]


def test_the_map_of_everybody_and_of_a_segment(connection: Connection) -> None:
    days = period(connection, 0)
    everybody = {row["name"]: row["visits"] for row in journeys.nodes(connection, days, "")}
    vip = {row["name"]: row["visits"] for row in journeys.nodes(connection, days, "vip")}
    assert (everybody["product"], vip["product"]) == (6, 2)
    ways = {(row["source"], row["target"]): row["n"] for row in journeys.edges(connection, days, "vip")}
    assert ways["product", "basket"] == 2


def test_a_funnels_customers_are_those_of_its_numbers(connection: Connection) -> None:
    days = period(connection, 30)
    stages = {(row["step"], row["group"]): row["n"] for row in journeys.stages(connection, days, "device")}
    assert stages[1, "phone"] == 6
    assert {row["group"] for row in journeys.stages(connection, days, "segment")} == {"vip"}
    bought = journeys.behind(connection, days, "buying", 3, only_there=True)
    assert [row["customer"] for row in bought] == ["c5", "c4", "c3", "c2", "c1", "c0"]
    assert journeys.behind(connection, days, "buying", 1, only_there=True) == []
    assert len(journeys.behind(connection, days, "buying", 1, only_there=False, limit=4)) == 4


BY_INDEX: dict[str, dict[str, Any]] = {
    "select * from events where customer = :a order by at desc limit 300": {"a": "c0"},
    "select * from decisions where customer = :a order by at desc limit 300": {"a": "c0"},
    "select * from commands where customer = :a order by due_at desc limit 300": {"a": "c0"},
    "select * from receipts where customer = :a order by at desc limit 300": {"a": "c0"},
    "select customer from members where name = :a order by since desc limit 200": {"a": "vip"},
    "select customer from enrolments where scenario = :a and step = '' and ended = '' order by entered_at desc limit 9": {
        "a": "cart"
    },
    "select customer from attempts where funnel = :a and reached = 1 order by at desc limit 200": {"a": "buying"},
    "select name, sum(visits) from nodes where segment = '' and day between :a and :a group by 1": {"a": "2026-01-05"},
    "select source, sum(n) from edges where segment = '' and day between :a and :a group by 1": {"a": "2026-01-05"},
}


@pytest.mark.parametrize("said", BY_INDEX)
def test_no_page_reads_a_whole_table_of_records(tmp_path: Path, said: str) -> None:
    made = projector(tmp_path)
    made.apply(shopping(3).records)
    with made.engine.connect() as connection:
        plan = connection.execute(text(f"explain query plan {said}"), BY_INDEX[said]).all()
    made.engine.dispose()
    steps = [str(row[3]) for row in plan]
    assert any(" USING " in one and "INDEX" in one for one in steps)
    assert not any(one.startswith("SCAN") for one in steps)
