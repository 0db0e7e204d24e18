"""The table of metrics is that of the code, and each alert has its paragraph and its two tests."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.metrics import MetricWrapperBase
from ruamel.yaml import YAML

from agents import metrics

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus"
PERSONAL = {"customer", "address", "email", "phone", "name", "command", "event"}


def registered() -> dict[str, MetricWrapperBase]:
    """Every metric that the code registers, as Prometheus names it."""
    found = [one for one in vars(metrics).values() if isinstance(one, MetricWrapperBase)]
    return {one._name + ("_total" if one._type == "counter" else ""): one for one in found}


def table() -> dict[str, tuple[str, ...]]:
    rows = re.findall(
        r"^\| `(\w+)(?:\{([\w,]+)\})?` \|", (ROOT / "docs/reference/metrics.md").read_text(), re.MULTILINE
    )
    assert len(dict(rows)) == len(rows), "a metric stands there twice"
    return {name: tuple(labels.split(",")) if labels else () for name, labels in rows}


def alerts() -> dict[str, Any]:
    groups = YAML(typ="safe").load(RULES / "alerts.yml")["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def test_the_reference_names_each_metric_with_its_labels_and_no_other() -> None:
    assert table() == {name: one._labelnames for name, one in registered().items()}
    assert len(list(metrics.REGISTRY.collect())) == len(registered()), "a metric is registered elsewhere"


def test_no_label_can_name_a_person_or_a_message() -> None:
    assert not {label for one in registered().values() for label in one._labelnames} & PERSONAL


def test_alerts_ask_for_metrics_that_there_are() -> None:
    for name, rule in alerts().items():
        asked = {re.sub(r"_(bucket|count|sum)$", "", one) for one in re.findall(r"parcours_\w+", rule["expr"])}
        assert asked, name
        assert asked <= registered().keys(), name


@pytest.mark.parametrize("name", sorted(alerts()))
def test_every_alert_links_to_its_paragraph(name: str) -> None:
    page, _, anchor = alerts()[name]["annotations"]["runbook"].partition("#")
    assert anchor == name.lower()
    assert f"\n### {name}\n" in (ROOT / page).read_text()


@pytest.mark.parametrize("name", sorted(alerts()))
def test_every_alert_is_shown_to_fire_and_to_stay_silent(name: str) -> None:
    suites = [YAML(typ="safe").load(path) for path in RULES.glob("*.test.yml")]
    cases = [case for suite in suites for test in suite["tests"] for case in test["alert_rule_test"]]
    expected = [bool(case["exp_alerts"]) for case in cases if case["alertname"] == name]
    assert set(expected) == {True, False}


@pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool: apt-get install prometheus")
@pytest.mark.parametrize("suite", sorted(path.name for path in RULES.glob("*.test.yml")))
def test_the_alerts_fire_and_stay_silent_as_their_tests_say(suite: str) -> None:
    words = ["promtool", "test", "rules", RULES / suite]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
