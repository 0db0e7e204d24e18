"""Writes many rows at once: SQLite by executemany, PostgreSQL by COPY, with one meaning of "upsert" for both."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import BigInteger, Boolean, Connection, LargeBinary, Table

Row = Sequence[Any]
# How a column takes a second value: add the two, take the new one, or take it where it says something.
ADD, SET, KNOWN = "add", "set", "known"


def clean(value: str) -> str:
    """Return a text without NUL, which PostgreSQL has no place for."""
    return value.replace("\x00", "�") if "\x00" in value else value


class Writer:
    """Inserts and upserts on one connection, inside its transaction."""

    def __init__(self, connection: Connection):
        self.connection = connection
        self._postgres = connection.dialect.name == "postgresql"
        self._quote = connection.dialect.identifier_preparer.quote
        self._temporary: set[str] = set()

    def insert(self, table: Table, rows: Sequence[Row]) -> None:
        """Add rows; each has every column, in the table's order. A row that is there already is left as it is."""
        if rows:
            self._write(table, rows, "do nothing")

    def upsert(self, table: Table, rows: Sequence[Row], how: str) -> None:
        """Add rows, or change those of the same key by `how`: ADD, SET or KNOWN for every column but the key."""
        if rows:
            self._write(table, rows, f"do update set {self._changes(table, how)}")

    def delete(self, table: Table, keys: Sequence[Row]) -> None:
        """Take rows away by their keys, each in the order of the table's key columns."""
        if not keys:
            return
        names = [self._quote(column.name) for column in table.primary_key.columns]
        mark = "%s" if self._postgres else "?"
        where = " and ".join(f"{name} = {mark}" for name in names)
        said = f"delete from {self._quote(table.name)} where {where}"  # noqa: S608
        self._cursor().executemany(said, [[clean(one) if type(one) is str else one for one in key] for key in keys])

    def _changes(self, table: Table, how: str) -> str:
        return ", ".join(self._change(table, column, how) for column in table.columns if not column.primary_key)

    def _change(self, table: Table, column: Any, how: str) -> str:
        name = self._quote(column.name)
        old, new = f"{self._quote(table.name)}.{name}", f"excluded.{name}"
        if how == ADD:
            return f"{name} = {old} + {new}"
        if how == SET or isinstance(column.type, LargeBinary | Boolean):
            return f"{name} = {new}"
        if isinstance(column.type, BigInteger):
            return f"{name} = case when {new} > {old} then {new} else {old} end"
        said = f"excluded.{self._quote(column.info['beside'])}" if "beside" in column.info else new
        return f"{name} = case when {said} <> '' then {new} else {old} end"

    def _write(self, table: Table, rows: Sequence[Row], conflict: str) -> None:
        name = self._quote(table.name)
        columns = ", ".join(self._quote(column.name) for column in table.columns)
        keys = ", ".join(self._quote(column.name) for column in table.primary_key.columns)
        if not self._postgres:
            marks = ", ".join("?" for _ in table.columns)
            said = f"insert into {name} ({columns}) values ({marks}) on conflict ({keys}) {conflict}"  # noqa: S608
            self._cursor().executemany(said, rows)
            return
        heap = self._heap(table)
        with self._cursor() as cursor:
            with cursor.copy(f"copy {heap} ({columns}) from stdin") as copy:
                for row in rows:
                    copy.write_row([clean(one) if type(one) is str else one for one in row])
            # One order for all writers: two projectors that add to the same counters do not lock each other out.
            order = f"insert into {name} ({columns}) select {columns} from {heap} order by {keys}"  # noqa: S608
            cursor.execute(f"{order} on conflict ({keys}) {conflict}")
            cursor.execute(f"truncate {heap}")

    def _cursor(self) -> Any:
        driver: Any = self.connection.connection.driver_connection
        return driver.cursor()

    def _heap(self, table: Table) -> str:
        """Return a temporary table of the same columns, made once a connection and emptied after each use."""
        heap = self._quote(f"new_{table.name}")
        if table.name not in self._temporary:
            name = self._quote(table.name)
            said = f"create temporary table if not exists {heap} (like {name} including defaults)"
            with self._cursor() as cursor:
                cursor.execute(said)
            self._temporary.add(table.name)
        return heap

    def rows_of(self, table: Table, names: Iterable[str]) -> dict[str, Any]:
        """Return the rows with these values of the first key column, by it."""
        wanted = list(names)
        if not wanted:
            return {}
        name, key = self._quote(table.name), self._quote(next(iter(table.primary_key.columns)).name)
        found: dict[str, Any] = {}
        if self._postgres:
            with self._cursor() as cursor:
                cursor.execute(f"select * from {name} where {key} = any(%s)", (wanted,))  # noqa: S608
                found = {row[0]: row for row in cursor.fetchall()}
            return found
        for begin in range(0, len(wanted), 500):
            part = wanted[begin : begin + 500]
            marks = ", ".join("?" for _ in part)
            cursor = self._cursor()
            cursor.execute(f"select * from {name} where {key} in ({marks})", part)  # noqa: S608
            found.update((row[0], row) for row in cursor.fetchall())
        return found
