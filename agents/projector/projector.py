"""Writes the log into the read model: each record once, whatever stops in between.

A batch is one transaction, in these steps:
  1. leave out what the positions say is in already;
  2. take the rows that the batch speaks of: enrolments, visitors, commands;
  3. fold the batch in memory;
  4. write rows, states and counters;
  5. move the positions on, each from where it stood: another projector of the same partition makes this fail, and the
     batch is rolled back.
What memory holds of the positions is thrown away with any error, and read again.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, Engine, select, update

from agents.projector import schema
from agents.projector.batch import Record
from agents.projector.decisions import DecisionFold
from agents.projector.journal import JournalFold, SourceTables
from agents.projector.members import MemberFold, known_members, memberships, of_changelog
from agents.projector.messages import MessageFold
from agents.projector.plans import PlanShelf
from agents.projector.writing import ADD, KNOWN, SET, Writer
from pipeline.errors import RunError
from pipeline.insight.funnels import attempt_rows, stage_rows
from pipeline.insight.segments import SEGMENTS_BETWEEN
from pipeline.store.codec import COLD, HOT, PROGRESS

PLAN, KEPT = "plan", "kept-plan/"
CHANGELOG = "customers-changelog"
MEMBERSHIPS = "memberships"
OF_ONE_CUSTOMER = (
    schema.decisions, schema.receipts, schema.events, schema.commands, schema.enrolments, schema.attempts,
)  # fmt: skip
Place = tuple[str, int]


class SupersededError(RunError):
    """Another projector has moved the positions on: read them again."""


class Projector:
    """Folds records of our streams into a database that was migrated."""

    def __init__(self, engine: Engine, plans: PlanShelf):
        self.engine = engine
        self.plans = plans
        self.forget()

    def forget(self) -> None:
        """Drop what memory holds of the database."""
        self._next: dict[Place, int] | None = None
        self._tables = SourceTables()
        self._loaded: set[int] = set()
        self._plans: dict[str, str] = {}

    def positions(self) -> dict[Place, int]:
        """Return the next offset of every stream's partition that was read."""
        if self._next is None:
            with self.engine.connect() as connection:
                rows = connection.execute(select(schema.positions)).all()
                self._next = {(row.topic, row.partition): row.next for row in rows}
                found = connection.execute(select(schema.meta).where(schema.meta.c.name.startswith(PLAN))).all()
                self._plans = {row.name: bytes(row.value).decode() for row in found}
        return self._next

    def plan(self, partition: int) -> str:
        """Return the hash of the plan under which a partition's records count now."""
        return self._plans.get(_plan_key(partition)) or self.plans.live()

    def _day(self, partition: int, at: int) -> str:
        return self.plans.day(self.plan(partition))(at)

    def apply(self, records: Iterable[Record]) -> int:
        """Fold records in, in one transaction; return how many were new. An error leaves everything as it was."""
        try:
            return self._apply(records)
        except BaseException:
            self.forget()
            raise

    def _apply(self, records: Iterable[Record]) -> int:
        known = self.positions()
        fresh: dict[str, list[Record]] = {}
        moved: dict[Place, int] = {}
        for record in records:
            place = (record.stream, record.partition)
            if record.offset >= moved.get(place, known.get(place, 0)):
                fresh.setdefault(record.stream, []).append(record)
                moved[place] = record.offset + 1
        if not moved:
            return 0
        with self.engine.begin() as connection:
            self._write(connection, fresh)
            self._move(connection, known, moved)
        known.update(moved)
        return sum(len(found) for found in fresh.values())

    def _write(self, connection: Connection, fresh: dict[str, list[Record]]) -> None:
        writer = Writer(connection)
        self._members(connection, writer, fresh)
        journal = self._journal(connection, writer, fresh.get("journal", []))
        decisions = DecisionFold(self._day)
        decisions.read(fresh.get("decisions", []))
        decisions.fold(writer.rows_of(schema.enrolments, decisions.names()))
        messages = MessageFold(self._day)
        messages.read_delivery(fresh.get("delivery", []))
        messages.read_receipts(fresh.get("receipts", []))
        messages.touched(journal.touched)
        writer.insert(schema.decisions, decisions.rows)
        writer.upsert(schema.enrolments, [one.row() for one in decisions.changed.values()], SET)
        writer.upsert(schema.inside, decisions.inside.rows(), ADD)
        writer.upsert(schema.arms, decisions.arms.rows(), ADD)
        writer.insert(schema.receipts, messages.receipts)
        writer.upsert(schema.commands, messages.rows(), KNOWN)
        for sums in (decisions.counts, messages.counts, journal.counts):
            writer.upsert(schema.counts, sums.rows(), ADD)
        writer.insert(schema.dead_letters, _letters(fresh.get("dead-letters", [])))
        self._changelog(writer, fresh.get(CHANGELOG, []))
        for name in sorted({*journal.erased, *decisions.erased}):
            _erase(connection, name)

    def _changelog(self, writer: Writer, records: Sequence[Record]) -> None:
        states = _states(records)
        writer.upsert(schema.customers, [row for row in states if row[2]], SET)
        writer.delete(schema.customers, [row[:2] for row in states if not row[2]])
        writer.upsert(schema.meta, _progress(records), SET)

    def _members(self, connection: Connection, writer: Writer, fresh: dict[str, list[Record]]) -> None:
        told, changed = fresh.get(MEMBERSHIPS, []), fresh.get(CHANGELOG, [])
        said = memberships(told) + of_changelog(changed)
        if said:
            partition = (told or changed)[0].partition
            fold = MemberFold(lambda at: self._day(partition, at))
            fold.fold(said, known_members(connection, [one.customer for one in said]))
            fold.write(writer)

    def _journal(self, connection: Connection, writer: Writer, records: Sequence[Record]) -> JournalFold:
        for partition in {record.partition for record in records} - self._loaded:
            self._tables.load(partition, _meta(connection, f"sources/{partition}"))
            self._loaded.add(partition)
        inside: dict[str, tuple[str, ...]] = {}
        fold = JournalFold(
            self._tables, self.plans.definitions, lambda name: SEGMENTS_BETWEEN.join(inside.get(name, ()))
        )
        fold.read(records)
        inside.update(known_members(connection, fold.names()))
        known = writer.rows_of(schema.visitors, fold.names())
        commands = writer.rows_of(schema.commands, fold.commands())
        fold.fold(known, commands, self.plan, self.plans.day)
        self._plans |= {_plan_key(partition): plan for partition, plan in fold.plans.items()}
        writer.insert(schema.events, fold.events)
        writer.upsert(schema.controls, list(fold.controls.values()), SET)
        writer.upsert(schema.visitors, fold.visitors(), SET)
        writer.upsert(schema.nodes, [(*key, *sums) for key, sums in fold.map.nodes.items()], ADD)
        writer.upsert(schema.edges, [(*key, *sums) for key, sums in fold.map.edges.items()], ADD)
        writer.upsert(schema.stages, stage_rows(fold.funnels), ADD)
        writer.upsert(schema.attempts, attempt_rows(fold.funnels), SET)
        writer.upsert(schema.credits_, [(*key, *sums) for key, sums in fold.orders.credits.items()], ADD)
        if records:
            stored = [(f"sources/{one}", self._tables.encoded(one)) for one in sorted(fold.partitions)]
            writer.upsert(schema.meta, [*stored, *self._plan_rows(fold.plans)], SET)
        return fold

    def _plan_rows(self, activated: dict[int, str]) -> list[tuple[object, ...]]:
        """Return what is kept of plans: which is live in each partition, and the sources, for who has no log beside."""
        rows: dict[str, bytes] = {_plan_key(partition): plan.encode() for partition, plan in activated.items()}
        for plan in activated.values():
            sources = self.plans.sources(plan)
            if sources is not None:
                rows[f"{KEPT}{plan}"] = sources.encode()
        return list(rows.items())

    def _move(self, connection: Connection, known: dict[Place, int], moved: dict[Place, int]) -> None:
        table = schema.positions
        for (topic, partition), offset in sorted(moved.items()):
            before = known.get((topic, partition))
            if before is None:
                connection.execute(table.insert().values(topic=topic, partition=partition, next=offset))
                continue
            mine = (table.c.topic == topic) & (table.c.partition == partition) & (table.c.next == before)
            if connection.execute(update(table).where(mine).values(next=offset)).rowcount != 1:
                raise SupersededError(f"another projector reads {topic}/{partition}: give each database one group")


def _plan_key(partition: int) -> str:
    return f"{PLAN}/{partition}" if partition else PLAN


def _meta(connection: Connection, name: str) -> bytes | None:
    found = connection.execute(select(schema.meta.c.value).where(schema.meta.c.name == name)).scalar()
    return None if found is None else bytes(found)


def _erase(connection: Connection, customer: str) -> None:
    """Take away all that the tables hold of one customer; counters name nobody."""
    for table in OF_ONE_CUSTOMER:
        connection.execute(table.delete().where(table.c.customer == customer))
    connection.execute(schema.visitors.delete().where(schema.visitors.c.id == customer))


def _letters(records: Sequence[Record]) -> list[tuple[object, ...]]:
    return [
        (
            record.partition, record.offset, one.at, one.stage, one.reason, one.source, one.partition, one.offset,
            one.path, one.value, 0,
        )
        for record in records
        if (one := record.letter) is not None
    ]  # fmt: skip


def _states(records: Sequence[Record]) -> list[tuple[object, ...]]:
    """Return the last value of each key of the changelog, by customer and kind; b"" for one that is gone."""
    last = {record.key: record.value or b"" for record in records if record.key and record.key[:1] in {HOT, COLD}}
    return [(key[1:].decode(), key[:1].decode(), value) for key, value in last.items()]


def _progress(records: Sequence[Record]) -> list[tuple[object, ...]]:
    """Return the last progress record of each partition of the changelog."""
    last = {record.partition: record.value for record in records if record.key == PROGRESS and record.value}
    return [(f"progress/{partition}", value) for partition, value in last.items()]
