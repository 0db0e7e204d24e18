"""A period of days, and rows by name."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, text

ALL = 0
CHOICES = (1, 7, 30, 90, ALL)


@dataclass(frozen=True)
class Period:
    """The days from `first` to `last` (ISO 8601, both included); `days` is what was chosen, 0 for all."""

    first: str
    last: str
    days: int

    def said(self, **more: Any) -> dict[str, Any]:
        """Return the parameters of a query over this period."""
        return {"first": self.first, "last": self.last, **more}


def rows(connection: Connection, said: str, **values: Any) -> list[dict[str, Any]]:
    """Return the rows of a query, by column name."""
    return [dict(row) for row in connection.execute(text(said), values).mappings()]


def number(value: Any) -> int:
    """Return a sum as a whole number: PostgreSQL says it as a decimal, and an empty one as null."""
    return int(value or 0)


def period(connection: Connection, days: int) -> Period:
    """Return the last days of log time, as far as the read model has come."""
    found = rows(
        connection,
        "select max(day) as last from (select max(day) as day from counts union all select max(day) from nodes) d",
    )
    last = found[0]["last"] or "1970-01-01"
    if days not in CHOICES or days == ALL:
        return Period("0000-00-00", last, ALL)
    return Period((date.fromisoformat(last) - timedelta(days=days - 1)).isoformat(), last, days)
