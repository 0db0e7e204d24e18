"""The read model says what the log says, each record once, in any batches, after any stop."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from agents.projector import schema
from agents.projector.batch import Record
from agents.projector.database import empty, migrate, open_database
from agents.projector.projector import Projector, SupersededError
from agents.projector.retention import DAY_MS, Retention, prune
from pipeline.errors import UsageError
from tests.projector.kit import MINUTE, NOON, Log, ask, projector, shopping, tables
from tests.projector.postgres import running

DATABASES = ("sqlite", "postgres")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running() as one:
        yield one.url


@pytest.fixture(params=DATABASES)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Projector]:
    place = tmp_path if request.param == "sqlite" else request.getfixturevalue("server")
    found = projector(place)
    empty(found.engine)
    yield found
    found.engine.dispose()


def test_a_day_in_a_shop_is_counted_as_it_was(made: Projector) -> None:
    made.apply(shopping(6).records)
    assert ask(made.engine, "select outcome, sum(n) from counts group by 1 order by 1") == [
        ("clicked", 3), ("entered", 6), ("exited", 3), ("goal", 3), ("left", 2), ("left_held_out", 1), ("opened", 3), ("receipt_sent", 3), ("sent", 3), ("spared", 2),
    ]  # fmt: skip
    assert ask(made.engine, "select step, n from inside where n <> 0 order by 1") == [
        ("(held out)", 1),
        ("reminder", 2),
    ]
    arms = ask(made.engine, "select held_out, entered, goals, value, squares from arms order by entered")
    assert [tuple(map(int, row)) for row in arms] == [(1, 2, 1, 2500, 625), (0, 4, 2, 5000, 1250)]
    assert ask(made.engine, 'select scenario, step, "by", orders, value from credits order by 4, 1') == [
        ("", "", "none", 3, 7500), ("cart", "reminder", "click", 3, 12000),
    ]  # fmt: skip
    assert (
        ask(made.engine, "select state, opened_at > 0, clicked_at > 0 from commands group by 1, 2, 3")[0][0] == "sent"
    )
    stages = ask(made.engine, "select step, sum(n) from stages group by 1 order by 1")
    assert [tuple(map(int, row)) for row in stages] == [(1, 6), (2, 6), (3, 6)]


def test_the_map_counts_visits_transitions_money_and_indicators(made: Projector) -> None:
    made.apply(shopping(6).records)
    nodes = {row[0]: row[1:] for row in ask(made.engine, "select name, visits, unnamed, value, reached from nodes")}
    assert nodes["product"] == (6, 0, 0, 6)
    assert nodes["basket"] == (6, 0, 6000, 0)
    assert nodes["order_placed"] == (6, 6, 0, 0)
    edges = {row[:2]: row[2:] for row in ask(made.engine, "select source, target, n, ms, value from edges")}
    assert edges["product", "basket"] == (6, 6 * MINUTE, 0)
    assert edges["basket", "order_placed"] == (3, 3 * MINUTE, 3000)
    assert edges["", "message_opened"] == (3, 0, 0)


def in_batches(records: list[Record], cuts: list[int]) -> Iterator[list[Record]]:
    edges = [0, *sorted(cuts), len(records)]
    for begin, end in pairwise(edges):
        yield records[begin:end]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 60), max_size=8), again=st.integers(0, 8))
def test_batches_and_repetitions_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], again: int
) -> None:
    records = shopping(5).records
    whole = projector(tmp_path_factory.mktemp("whole"))
    whole.apply(records)
    cut = projector(tmp_path_factory.mktemp("cut"))
    for number, batch in enumerate(in_batches(records, [one for one in cuts if one < len(records)])):
        cut.apply(batch)
        if number == again:
            cut.forget()
            cut.apply(records[: len(records) // 3])
            cut.apply(batch)
    cut.apply(records)
    assert tables(cut.engine) == tables(whole.engine)
    for one in (whole, cut):
        one.engine.dispose()


def test_the_same_read_model_comes_from_both_databases(tmp_path: Path, server: str) -> None:
    records = shopping(9).records
    found = []
    for place in (tmp_path, server):
        one = projector(place)
        empty(one.engine)
        one.apply(records)
        found.append({name: len(rows) for name, rows in tables(one.engine).items()})
        found.append(ask(one.engine, "select name, visits, value from nodes order by 1"))
        one.engine.dispose()
    assert found[:2] == found[2:]


def test_dropped_and_rebuilt_it_is_the_same_and_the_audit_stays(made: Projector) -> None:
    records = shopping(4).records
    made.apply(records)
    before = tables(made.engine)
    with made.engine.begin() as connection:
        connection.execute(schema.audit.insert().values(at=1, who="op", action="pause", target="cart", detail=""))
    empty(made.engine)
    assert all(rows == [] for rows in tables(made.engine).values())
    made.forget()
    made.apply(records)
    assert tables(made.engine) == before
    assert ask(made.engine, "select who, action from audit where who = 'op'")[-1] == ("op", "pause")
    with made.engine.begin() as connection:
        connection.execute(schema.audit.delete())


def test_a_batch_that_fails_leaves_nothing_behind(made: Projector, monkeypatch: pytest.MonkeyPatch) -> None:
    records = shopping(4).records
    made.apply(records[:9])
    before = tables(made.engine)

    def fails(*_: object) -> None:
        raise OperationalError("insert", {}, Exception("the disk is full"))

    with monkeypatch.context() as patched:
        patched.setattr(Projector, "_move", fails)
        with pytest.raises(OperationalError):
            made.apply(records)
    assert tables(made.engine) == before
    made.apply(records)
    assert len(tables(made.engine)["events"]) == 4 + 4 + 4 + 3 * 2


def test_of_two_projectors_of_one_partition_the_later_is_refused(made: Projector) -> None:
    records = shopping(4).records
    second = Projector(made.engine, made.plans)
    made.apply(records[:5])
    second.positions()
    made.apply(records[:9])
    with pytest.raises(SupersededError):
        second.apply(records[5:])
    second.apply(records)
    assert len(tables(made.engine)["decisions"]) == sum(one.stream == "decisions" for one in records)


def test_an_event_that_the_log_holds_twice_counts_once(made: Projector) -> None:
    log = Log()
    log.event("product_viewed", "c1", NOON, name="same")
    log.event("product_viewed", "c1", NOON, name="same")
    written_twice = log.event("product_viewed", "c1", NOON + MINUTE)
    log.put("journal", written_twice.value or b"")
    made.apply(log.records)
    assert ask(made.engine, "select visits from nodes") == [(2,)]


def test_a_session_ends_after_half_an_hour_and_what_is_older_makes_no_visit(made: Projector) -> None:
    log = Log()
    for minute in (0, 30, 61, 5):
        log.event("product_viewed", "c1", NOON + minute * MINUTE)
    made.apply(log.records)
    assert ask(made.engine, "select visits from nodes") == [(3,)]
    assert ask(made.engine, "select source, n from edges order by 1") == [("", 2), ("product", 1)]


def test_an_erasure_takes_away_every_row_of_that_customer_and_no_count(made: Projector) -> None:
    log = shopping(4)
    log.event("erasure_requested", "c0", NOON + 90 * MINUTE)
    log.decision("dropped", "erasure", "c0", NOON + 90 * MINUTE, enrolment="", scenario="")
    made.apply(log.records)
    found = tables(made.engine)
    found.pop("meta")
    assert "'c0'" not in repr(found)
    assert "'c1'" in repr(found)
    assert ask(made.engine, "select sum(n) from counts where outcome = 'entered'") == [(4,)]


def test_what_is_older_than_its_retention_goes(made: Projector) -> None:
    made.apply(shopping(4).records)
    keep = Retention(rows_days=30, counters_days=60)
    assert prune(made.engine, NOON + 20 * DAY_MS, keep) == 0
    while prune(made.engine, NOON + 40 * DAY_MS, keep):
        pass
    found = tables(made.engine)
    assert found["events"] == found["decisions"] == found["receipts"] == []
    assert found["counts"] and found["nodes"]
    assert [row[8] for row in found["enrolments"]] == ["", ""], "who is inside stays"
    while prune(made.engine, NOON + 70 * DAY_MS, keep):
        pass
    assert tables(made.engine)["counts"] == []


def test_text_that_postgres_has_no_place_for_is_written_all_the_same(made: Projector) -> None:
    log = Log()
    log.event("search_performed", "c\u00e9 '; drop table events; --", NOON, query="a\x00b <script>")
    log.decision("failed", "no\x00value", "c1", NOON)
    made.apply(log.records)
    assert len(ask(made.engine, "select customer from events")) == 1
    assert len(ask(made.engine, "select reason from decisions")) == 1


def test_migrations_make_the_tables_that_the_code_names(made: Projector) -> None:
    migrate(made.engine)
    with made.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []


@pytest.mark.parametrize("url", ["nonsense", "mysql://h/d"])
def test_an_address_of_no_supported_database_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="--database"):
        open_database(url)
