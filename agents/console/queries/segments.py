"""Segments, levels and score thresholds: their sizes by day, and who is in them."""

from collections import defaultdict
from typing import Any

from sqlalchemy import Connection

from agents.console.queries.base import Period, number, rows

SHOWN = 200


def sizes(connection: Connection, period: Period) -> list[dict[str, Any]]:
    """Return each name with its size at the end of each day of the period on which it changed.

    `before` is the size before the period, `size` the one at its end, `days` a list of (day, size).
    """
    before = rows(
        connection,
        "select name, sum(entered - gone) as n from memberships where day < :first group by name",
        first=period.first,
    )
    changed = rows(
        connection,
        "select name, day, entered, gone from memberships where day >= :first order by day, name",
        first=period.first,
    )
    start = {row["name"]: number(row["n"]) for row in before}
    found: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    sums: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    now = dict(start)
    for row in changed:
        name, came, went = row["name"], number(row["entered"]), number(row["gone"])
        now[name] = now.get(name, 0) + came - went
        sums[name][0] += came
        sums[name][1] += went
        found[name].append((row["day"], now[name]))
    return [
        {
            "name": name, "before": start.get(name, 0), "size": now[name], "entered": sums[name][0],
            "gone": sums[name][1], "days": found[name],
        }
        for name in sorted(now)
    ]  # fmt: skip


def members(connection: Connection, name: str) -> list[dict[str, Any]]:
    """Return who came into a segment last, and since when (UTC ms)."""
    said = "select customer, since from members where name = :name order by since desc, customer limit :limit"
    return rows(connection, said, name=name, limit=SHOWN)
