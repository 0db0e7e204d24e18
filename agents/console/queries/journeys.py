"""The journey map and funnels, as summed by the projector."""

from typing import Any

from sqlalchemy import Connection

from agents.console.queries.base import Period, number, rows

# Rows of the segment "" count everybody; those of a segment count the same touches again.
SEGMENT = " and segment = :segment"


def nodes(connection: Connection, period: Period, segment: str) -> list[dict[str, Any]]:
    """Return touchpoints with visits, money in hand, indicator reached; the most visited first."""
    said = (
        "select name, sum(visits) as visits, sum(unnamed) as unnamed, sum(value) as value, sum(reached) as reached"
        f" from nodes where day between :first and :last{SEGMENT} group by 1 order by 2 desc, 1"
    )
    return [
        {"name": row["name"], **{one: number(row[one]) for one in ("visits", "unnamed", "value", "reached")}}
        for row in rows(connection, said, **period.said(segment=segment))
    ]


def edges(connection: Connection, period: Period, segment: str) -> list[dict[str, Any]]:
    """Return transitions with their number, time and money, the most frequent first; source "" begins a session."""
    said = (
        "select source, target, sum(n) as n, sum(ms) as ms, sum(value) as value from edges"
        f" where day between :first and :last{SEGMENT} group by 1, 2 order by 3 desc, 1, 2"
    )
    return [
        {"source": row["source"], "target": row["target"], **{one: number(row[one]) for one in ("n", "ms", "value")}}
        for row in rows(connection, said, **period.said(segment=segment))
    ]


def segments(connection: Connection) -> list[str]:
    """Return the segments that somebody has been in: memberships has few rows, and the map many."""
    return [row["name"] for row in rows(connection, "select distinct name from memberships order by 1")]


def stages(connection: Connection, period: Period, by: str) -> list[dict[str, Any]]:
    """Return funnel, step, group ("" without one) and number; `by` is "", segment, device or channel."""
    column = by if by in {"segment", "device", "channel"} else "''"
    everybody = "segment <> ''" if by == "segment" else "segment = ''"
    said = (
        f'select funnel, step, {column} as "group", sum(n) as n from stages'
        f" where day between :first and :last and {everybody} group by 1, 2, 3 order by 1, 3, 2"
    )
    return [{**row, "n": number(row["n"])} for row in rows(connection, said, **period.said())]


def behind(
    connection: Connection, period: Period, funnel: str, step: int, *, only_there: bool, limit: int = 200
) -> list[dict[str, Any]]:
    """Return the attempts that reached a step, or that stopped there; the latest first."""
    # One range of the index for each number of steps: a funnel has 12 at most.
    reached = [step] if only_there else range(step, 13)
    said = (
        "select id, customer, at, reached, device, channel, segment from attempts where funnel = :funnel"
        " and reached = :step and day between :first and :last order by at desc limit :limit"
    )
    found = [
        row for one in reached for row in rows(connection, said, **period.said(funnel=funnel, step=one, limit=limit))
    ]
    found.sort(key=lambda row: (-row["at"], row["id"]))
    return found[:limit]
