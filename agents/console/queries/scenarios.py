"""Counts of scenarios: outcomes, who is inside where, results against the holdout, attribution, versions."""

from collections import Counter, defaultdict
from typing import Any

from sqlalchemy import Connection

from agents.console.queries.base import Period, number, rows
from agents.console.statistics import Arm, Comparison, compare

Counts = Counter[tuple[str, str, str]]  # outcome, step, reason


def outcomes(connection: Connection, period: Period) -> dict[str, Counter[str]]:
    """Return scenario -> outcome -> how often."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    said = "select scenario, outcome, sum(n) as n from counts where day between :first and :last group by 1, 2"
    for row in rows(connection, said, **period.said()):
        found[row["scenario"]][row["outcome"]] += number(row["n"])
    return found


def insides(connection: Connection) -> dict[str, int]:
    """Return scenario -> customers inside now."""
    found = rows(connection, "select scenario, sum(n) as n from inside group by 1")
    return {row["scenario"]: number(row["n"]) for row in found}


def steps(connection: Connection, scenario: str, period: Period) -> Counts:
    """Return a scenario's counts by outcome, step and reason."""
    said = (
        "select outcome, step, reason, sum(n) as n from counts"
        " where scenario = :scenario and day between :first and :last group by 1, 2, 3"
    )
    found: Counts = Counter()
    for row in rows(connection, said, **period.said(scenario=scenario)):
        found[row["outcome"], row["step"], row["reason"]] += number(row["n"])
    return found


def waiting(connection: Connection, scenario: str) -> dict[str, int]:
    """Return the last step done -> customers who wait after it now ("" before any)."""
    said = "select step, sum(n) as n from inside where scenario = :scenario group by 1"
    return {row["step"]: number(row["n"]) for row in rows(connection, said, scenario=scenario)}


def versions(connection: Connection, scenario: str) -> list[dict[str, Any]]:
    """Return each version with its first and last day, how many entered, and how many are inside now."""
    entered = (
        "select version, min(day) as first, max(day) as last, sum(entered) as entered, sum(goals) as goals from arms"
        " where scenario = :scenario group by version order by max(day) desc, version"
    )
    inside = rows(
        connection, "select version, sum(n) as n from inside where scenario = :scenario group by 1", scenario=scenario
    )
    now = {row["version"]: number(row["n"]) for row in inside}
    found = rows(connection, entered, scenario=scenario)
    return [{**row, "inside": now.get(row["version"], 0)} for row in found]


def results(connection: Connection, period: Period) -> dict[str, Comparison]:
    """Return scenario -> those treated against those held out, both counted from their entry."""
    said = (
        "select scenario, held_out, sum(entered) as entered, sum(goals) as goals, sum(value) as value,"
        " sum(squares) as squares from arms where day between :first and :last group by 1, 2"
    )
    arms: defaultdict[str, dict[bool, Arm]] = defaultdict(dict)
    for row in rows(connection, said, **period.said()):
        sums = (number(row[name]) for name in ("entered", "goals", "value", "squares"))
        arms[row["scenario"]][bool(row["held_out"])] = Arm(*sums)
    return {name: compare(both.get(False, Arm()), both.get(True, Arm())) for name, both in arms.items()}


def credits_of(connection: Connection, period: Period, scenario: str | None = None) -> list[dict[str, Any]]:
    """Return orders and value by scenario, step and kind of touch; of one scenario where it is named."""
    only = " and scenario = :scenario" if scenario is not None else ""
    said = (
        'select scenario, step, "by" as kind, sum(orders) as orders, sum(value) as value from credits'
        f" where day between :first and :last{only} group by 1, 2, 3 order by 5 desc, 1, 2, 3"
    )
    return rows(connection, said, **period.said(scenario=scenario))


def messages(connection: Connection, scenario: str = "", limit: int = 100) -> list[dict[str, Any]]:
    """Return the last commands with what became of them."""
    only = "scenario = :scenario" if scenario else "due_at > 0"
    said = f"select * from commands where {only} order by due_at desc, id limit :limit"
    return rows(connection, said, scenario=scenario, limit=limit)


def inside_at(connection: Connection, scenario: str, step: str, limit: int = 200) -> list[dict[str, Any]]:
    """Return who waits after a step now ("" before any), those who entered last first."""
    said = (
        "select customer, version, entered_at, held_out from enrolments"
        " where scenario = :scenario and step = :step and ended = '' order by entered_at desc limit :limit"
    )
    return rows(connection, said, scenario=scenario, step=step, limit=limit)


def spared(counts: Counts) -> int:
    """Return how many bought in the middle of a wait, and got none of the messages that were still to come."""
    return sum(n for (outcome, _, _), n in counts.items() if outcome == "spared")
