"""What of the log is read as a whole: dead letters, the ledger, and where the streams end."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from agents.console.queries.base import Period, number, rows
from agents.console.queries.scenarios import Counts
from models.progress import Progress
from models.receipt import FINAL


def counts(connection: Connection, period: Period) -> dict[str, Counts]:
    """Return scenario -> counts by outcome, step and reason."""
    said = (
        "select scenario, outcome, step, reason, sum(n) as n from counts"
        " where day between :first and :last group by 1, 2, 3, 4"
    )
    found: defaultdict[str, Counts] = defaultdict(Counter)
    for row in rows(connection, said, **period.said()):
        found[row["scenario"]][row["outcome"], row["step"], row["reason"]] += number(row["n"])
    return found


def ledger(connection: Connection, partitions: Iterable[Progress]) -> dict[str, Any]:
    """Return what went in and what became of it: the journal's partitions say it of events, receipts of commands."""
    counts = [one.counts for one in partitions]
    refused = number(rows(connection, "select count(*) as n from dead_letters where stage = 'intake'")[0]["n"])
    said = "select outcome, sum(n) as n from counts where outcome like 'receipt%' group by 1"
    ended = {row["outcome"]: number(row["n"]) for row in rows(connection, said)}
    ends = {state: ended.get(f"receipt_{state}", 0) for state in FINAL}
    emitted = sum(one.commands for one in counts)
    return {
        "events": {
            "in": sum(one.events for one in counts) + refused,
            "applied": sum(one.applied for one in counts),
            "duplicate": sum(one.duplicate for one in counts),
            "dead_lettered": sum(one.dead for one in counts) + refused,
            "silent": sum(one.silent for one in counts),
        },
        "commands": {"in": emitted, **ends, "pending": emitted - sum(ends.values())},
    }


def ends(connection: Connection) -> dict[tuple[str, int], int]:
    """Return the end of each stream's partition, as the projectors last saw it."""
    found: dict[tuple[str, int], int] = {}
    for row in rows(connection, "select value from meta where name like 'projector/%'"):
        said = json.loads(bytes(row["value"]))
        found |= {(stream, number): end for stream, number, end in said["ends"]}
    return found
