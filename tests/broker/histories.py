"""What the histories of a cluster are held against: the embedded run over the same file."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.broker.cluster import Cluster

OPEN = {"consent_default": "granted", "require_address": "false"}


class Mailbox:
    """Keeps the command ids of the mails that an SMTP server took."""

    def __init__(self) -> None:
        self.commands: list[str] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        lines = envelope.content.decode(errors="replace").splitlines()
        self.commands += [line.split(": ")[1] for line in lines if line.startswith("X-Parcours-Command")]
        return "250 taken"


def states(rows: dict[str, Any]) -> dict[str, Any]:
    """Return final states without what receipts write: how far the sender is, is not the engine's."""
    kept = ("profile", "cart", "attributes", "consents", "interests")
    return {name: {part: row[part] for part in kept} for name, row in rows.items()}


def embedded_states(data: Path) -> dict[str, Any]:
    words = [sys.executable, "-m", "agents.cli.main", "customer", "--all", "--data", str(data), "--json"]
    out = subprocess.run(words, check=True, capture_output=True, text=True, timeout=120).stdout
    return {row["id"]: row for row in map(json.loads, out.splitlines())}


def check_same(cluster: Cluster, expected: set[str], embedded: Path, but: frozenset[str] = frozenset()) -> None:
    ids = [row["id"] for row in cluster.rows("commands")]
    assert len(ids) == len(set(ids)), "a command was committed twice"
    assert set(ids) == expected
    here, there = states(embedded_states(embedded)), states(cluster.customers())
    assert here.keys() == there.keys()
    different = {name: (here[name], there[name]) for name in here if here[name] != there[name] and name not in but}
    assert not different, f"{len(different)} customers differ, the first: {next(iter(different.items()))}"
