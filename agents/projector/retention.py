"""Bounds the read model: rows older than their retention go, in slices, so that no page waits for it."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine, Table, func, select, tuple_

from agents.projector import schema

DAY_MS = 86_400_000
SLICE = 5_000
BY_TIME = (
    (schema.decisions, "at"), (schema.receipts, "at"), (schema.events, "at"), (schema.dead_letters, "at"),
    (schema.attempts, "at"), (schema.commands, "due_at"), (schema.visitors, "at"),
)  # fmt: skip
# Of memberships the sum since the beginning is the size: a row a day and name, and kept.
BY_DAY = (schema.counts, schema.arms, schema.credits_, schema.nodes, schema.edges, schema.stages)


@dataclass(frozen=True)
class Retention:
    """How many days of log time rows of records and days of counters are kept."""

    rows_days: int = 90
    counters_days: int = 400


def prune(engine: Engine, newest_at: int, retention: Retention) -> int:
    """Delete one slice of what is older than its retention before `newest_at` (UTC ms); return how many rows went."""
    before = newest_at - retention.rows_days * DAY_MS
    gone = sum(_slice(engine, table, table.c[name] < before) for table, name in BY_TIME)
    ended = (schema.enrolments.c.ended != "") & (schema.enrolments.c.ended_at < before)
    gone += _slice(engine, schema.enrolments, ended)
    oldest = datetime.fromtimestamp((newest_at - retention.counters_days * DAY_MS) / 1000, UTC).date().isoformat()
    return gone + sum(_slice(engine, table, table.c.day < oldest) for table in BY_DAY)


def prune_all(engine: Engine, retention: Retention) -> None:
    """Delete, slice by slice, all that is older than its retention by now."""
    newest = newest_at(engine)
    while prune(engine, newest, retention):
        pass


def _slice(engine: Engine, table: Table, old: object) -> int:
    keys = tuple_(*table.primary_key.columns)
    chosen = select(*table.primary_key.columns).where(old).limit(SLICE)  # type: ignore[arg-type]
    with engine.begin() as connection:
        return connection.execute(table.delete().where(keys.in_(chosen))).rowcount


def newest_at(engine: Engine) -> int:
    """Return the log time that the read model has come to (UTC ms)."""
    with engine.connect() as connection:
        times = [
            connection.execute(select(func.max(table.c.at))).scalar() for table in (schema.events, schema.decisions)
        ]
    return max(int(one or 0) for one in times)
