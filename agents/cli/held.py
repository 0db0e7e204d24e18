"""`parcours held ls`: which messages wait, and why."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from agents.cli.read import open_reader, reading, show

COLUMNS = ("at", "scenario", "step", "customer", "channel", "reason")


@click.group()
def held() -> None:
    """Messages that wait at the senders: for an operator, or until the engine has caught up."""


@held.command("ls")
@click.option("--each", is_flag=True, help="A line for each message, not for each scenario and reason.")
@reading
def ls(each: bool, data: Path, kafka: bool, bootstrap: str, prefix: str, as_json: bool) -> None:
    """List what is held; `parcours release SCENARIO [--cancel]` lets it go, or drops it."""
    rows = waiting(open_reader(data, kafka, bootstrap, prefix).receipts())
    if each or as_json:
        show(rows, as_json, COLUMNS)
        return
    by_cause: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        by_cause.setdefault((row["scenario"], row.get("reason", "")), []).append(row["at"])
    for (scenario, reason), times in sorted(by_cause.items()):
        click.echo(f"{scenario}: {len(times)} since {min(times)}: {reason}")
    if not by_cause:
        click.echo("nothing is held")


def waiting(receipts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the receipts of commands whose last word is `held`, in the order in which they were held."""
    found: dict[str, dict[str, Any]] = {}
    for one in receipts:
        if one["state"] == "held":
            found[one["command"]] = one
        else:
            found.pop(one["command"], None)
    return list(found.values())
