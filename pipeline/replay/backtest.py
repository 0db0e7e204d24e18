"""Backtest: a plan over a recorded log or a file, in event time, sending nothing."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from pipeline.replay.results import Results
from pipeline.replay.spread import Replayed
from pipeline.replay.workspace import COMMANDS, DECISIONS
from pipeline.sending.guards import BACKTEST_FILE

COMMANDS_FILE, DECISIONS_FILE, SUMMARY_FILE = "commands.jsonl", "decisions.jsonl", "summary.json"


def rows_of(found: Replayed, kind: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield (customer, value) of all units in the order of customers."""
    with Results(found.folders) as results:
        yield from results.rows(kind)


def commands_of(found: Replayed) -> Iterator[dict[str, Any]]:
    """Yield every command, by customer and in the order in which each would go out."""
    for _, raw in rows_of(found, COMMANDS):
        yield msgspec.json.decode(raw[1:])


def write_results(found: Replayed, summary: dict[str, Any], out: Path) -> None:
    """Write commands, decisions and summary into a new folder, which appears whole or not at all."""
    half = out.with_name(out.name + ".part")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    try:
        with (half / COMMANDS_FILE).open("wb") as file:
            file.writelines(raw[1:] + b"\n" for _, raw in rows_of(found, COMMANDS))
        with (half / DECISIONS_FILE).open("wb") as file:
            file.writelines(raw + b"\n" for _, raw in rows_of(found, DECISIONS))
        (half / SUMMARY_FILE).write_text(json.dumps(summary, indent=2) + "\n")
        os.replace(half, out)
    finally:
        shutil.rmtree(half, ignore_errors=True)


def write_busiest(summary: dict[str, Any], plan: Path) -> None:
    """Note each scenario's busiest hour in a plan's folder, where the senders' brakes find it once it is applied."""
    hours = {name: one["busiest_hour"] for name, one in summary["scenarios"].items()}
    half = plan / f".{BACKTEST_FILE}.part"
    half.write_text(json.dumps({"busiest_hour": hours}, indent=2) + "\n")
    os.replace(half, plan / BACKTEST_FILE)
