"""The JSON Schemas take every file that is shipped, and refuse what the models refuse in form."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from pipeline.scenario.schema import FILES, schema_of
from tests.acceptance.running import parcours

ROOT = Path(__file__).parents[2]
SHIPPED = {
    "scenario": [*ROOT.glob("scenarios/*/scenario.yaml"), *ROOT.glob("agents/cli/starter/scenarios/*/scenario.yaml")],
    "settings": [ROOT / "scenarios/settings.yaml"],
    "test": [*ROOT.glob("scenarios/*/scenario.test.yaml"), *ROOT.glob("agents/cli/starter/*/*/scenario.test.yaml")],
    "mapping": list((ROOT / "pipeline/intake/presets").glob("*.yaml")),
}
FILE = {kind: next(iter(sorted(paths))) for kind, paths in SHIPPED.items()}


def faults(kind: str, data: Any) -> list[str]:
    schema = schema_of(kind)
    Draft202012Validator.check_schema(schema)
    return [error.message for error in Draft202012Validator(schema).iter_errors(data)]


def plain(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text())


@pytest.mark.parametrize("kind", sorted(FILES))
def test_every_shipped_file_is_taken(kind: str) -> None:
    assert SHIPPED[kind]
    assert {path.name: found for path in SHIPPED[kind] if (found := faults(kind, plain(path)))} == {}


HEAD = {"scenario": "one", "title": "One", "purpose": "marketing", "enter": {"on": "order_placed"}}


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("scenario", {**HEAD, "steps": [{"wait": "soon"}]}),
        ("scenario", {**HEAD, "steps": [{"pause": "1d"}]}),
        ("scenario", {**HEAD, "steps": []}),
        ("scenario", {**HEAD, "steps": [{"wait": "1d"}], "purposes": "marketing"}),
        ("scenario", {**HEAD, "steps": [{"wait": "1d"}], "enter": "order_placed"}),
        ("scenario", {**HEAD, "steps": [{"split": "s", "paths": [{"name": "a", "share": "100%"}]}]}),
        ("settings", {"store": {"curency": "EUR"}}),
        ("settings", {"caps": [{"at_most": 0, "per": "7d"}]}),
        ("test", [{"test": "t", "given": [], "expect": []}]),
        ("test", [{"test": "t", "given": [{"at": "10:00"}], "expct": []}]),
        ("mapping", {"mapping": "m", "evnts": []}),
    ],
)
def test_a_wrong_file_is_refused(kind: str, data: Any) -> None:
    assert faults(kind, data)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("scenario", {**HEAD, "steps": [{"wait": "1d"}], "enter": [HEAD["enter"]], "exit": {"on": "order_placed"}}),
        ("scenario", {**HEAD, "steps": [{"until": {"time": "09:00", "weekday": "mon"}}]}),
        ("scenario", {**HEAD, "steps": [{"send": "a", "channel": "web", "with": {"x": "entry.total"}}]}),
        ("settings", {"holdout": {"share": "5%", "salt": 2026}, "store": {"rates": {"USD": 0.92}}}),
        ("settings", {"funnels": [{"name": "f", "steps": ["product_viewed", {"name": "b", "on": "order_placed"}]}]}),
        ("settings", {"levels": {"engagement": [{"hot": "profile.orders > 3"}, {"cold": True}]}}),
    ],
)
def test_what_a_person_may_write_in_short_is_taken(kind: str, data: Any) -> None:
    assert faults(kind, data) == []


def test_check_jsonschema_takes_and_refuses_with_the_files_that_the_command_writes(tmp_path: Path) -> None:
    done = parcours("schema", "--out", tmp_path / "schemas")
    assert done.returncode == 0, done.stderr
    scenario = tmp_path / "schemas" / "scenario.schema.json"

    def checked(file: Path) -> int:
        words = [sys.executable, "-m", "check_jsonschema", "--schemafile", str(scenario), str(file)]
        return subprocess.run(words, capture_output=True, check=False, timeout=60).returncode

    wrong = tmp_path / "scenario.yaml"
    wrong.write_text(FILE["scenario"].read_text().replace("purpose:", "purposes:"))
    assert checked(FILE["scenario"]) == 0
    assert checked(wrong) == 1


def test_the_command_prints_one_and_names_those_that_there_are() -> None:
    assert json.loads(parcours("schema", "settings").stdout) == schema_of("settings")
    wrong = parcours("schema", "scenarios")
    assert wrong.returncode == 2
    assert "no such kind of file: 'scenarios'; did you mean scenario?" in wrong.stderr
