"""A real Prometheus for a test: Debian's, over a few targets, with rules, asked by its HTTP API."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML

from agents.localkafka import free_port
from tests.broker.cluster import wait_for

RULES = Path(__file__).parents[2] / "deploy/prometheus/alerts.yml"


def short_rules(changes: dict[str, dict[str, str]]) -> dict[str, Any]:
    """Return the shipped rules that are named, with pieces of their expressions shortened, and no `for`."""
    found = []
    for group in YAML(typ="safe").load(RULES)["groups"]:
        for rule in group["rules"]:
            if rule["alert"] not in changes:
                continue
            for old, new in changes[rule["alert"]].items():
                assert old in rule["expr"], f"{rule['alert']} does not say {old}"
                rule["expr"] = rule["expr"].replace(old, new)
            found.append({**rule, "for": "1s"})
    assert len(found) == len(changes)
    return {"groups": [{"name": "drill", "rules": found}]}


class Prometheus:
    """What the API answers."""

    def __init__(self, url: str):
        self.api = f"{url}/api/v1"

    def _get(self, what: str, **said: str) -> Any:
        answer = httpx.get(f"{self.api}/{what}", params=said, timeout=10).json()
        assert answer["status"] == "success", f"{said}: {answer.get('error')}"
        return answer["data"]

    def values(self, query: str) -> list[float]:
        """Return the figures of an instant query that are numbers; AssertionError where it does not parse."""
        found = [float(row["value"][1]) for row in self._get("query", query=query)["result"]]
        return [one for one in found if one == one]

    def firing(self, alert: str) -> list[dict[str, str]]:
        """Return the labels under which an alert fires now."""
        found = [one for one in self._get("alerts")["alerts"] if one["labels"]["alertname"] == alert]
        return [one["labels"] for one in found if one["state"] == "firing"]

    def up(self) -> bool:
        """Say whether every target answers."""
        try:
            targets = self._get("targets")["activeTargets"]
        except (httpx.HTTPError, json.JSONDecodeError):
            return False  # it does not listen yet, or says that it is not ready
        return bool(targets) and all(one["health"] == "up" for one in targets)


@contextmanager
def prometheus(folder: Path, targets: list[str], rules: dict[str, Any]) -> Iterator[Prometheus]:
    """Run one while the block does; its folder holds its configuration and its log."""
    if not shutil.which("prometheus"):
        pytest.skip("no Prometheus: apt-get install prometheus")
    folder.mkdir()
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [{"job_name": "parcours", "static_configs": [{"targets": targets}]}],
    }
    for name, said in (("rules.yml", rules), ("prometheus.yml", config)):
        with (folder / name).open("w") as out:
            YAML(typ="safe").dump(said, out)
    port = free_port()
    words = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*words, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
    try:
        one = Prometheus(f"http://127.0.0.1:{port}")
        wait_for(one.up, 60, f"every target is scraped: {(folder / 'log').read_text()[-2000:]}")
        yield one
    finally:
        process.terminate()
        process.wait(timeout=30)
