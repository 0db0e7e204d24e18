"""Runs the command line as a person does, in a process of its own, and reads what it prints."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[2] / "../shared/data"
REES46 = DATA / "rees46-2019-10-01.csv.gz"
RETAIL = DATA / "uci-online-retail.csv.gz"
CDNOW = DATA / "cdnow.txt.gz"
OPEN_TO_ALL = ("--set", "consent_default=granted", "--set", "require_address=false")


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "agents.cli.main", *(str(word) for word in words)]


def parcours(*words: str | Path, timeout_s: float = 600) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), capture_output=True, text=True, timeout=timeout_s, check=False)


def run_history(data: Path, file: Path, mapping: str, advance: str) -> list[str]:
    inputs = ("--input", str(file), "--mapping", mapping)
    return command("run", "--data", data, *inputs, "--until-end", "--advance", advance, "--no-console", *OPEN_TO_ALL)


def lines_of(*words: str | Path) -> list[dict[str, Any]]:
    done = parcours(*words, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
