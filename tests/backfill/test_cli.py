"""`parcours backfill` as a person calls it, over a run that goes on afterwards."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agents.cli.backfill import backfill
from pipeline.errors import ParcoursError
from pipeline.runtime.reading import iso
from tests.backfill.test_backfill import COUNT, HALF, LIVE, OLD, follow_ups, go_on
from tests.sim.world import T0, World, compile_once, records, small_slices


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(backfill, [str(word) for word in words])


def test_it_says_how_many_and_hands_them_to_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_slices(monkeypatch)
    compile_once(monkeypatch)
    data, draft = tmp_path / "data", tmp_path / "draft"
    for name, text in LIVE.files.items():
        if name != "overrides.json":
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            (draft / name).write_text(text)
    go_on(data, HALF, OLD)
    common = ("--scenario", "follow-up", "--from", iso(T0) or "", "--data", data, "--processes", "1")
    told = call(*common, "--plan", draft, "--set", "consent_default=granted", "--set", "require_address=false")
    assert told.exception is None, told.output
    assert "nobody enters: the plan with this scenario is not live yet" in told.output
    go_on(data, COUNT, LIVE, 0)
    told = call(*common, "--dry-run", "--json")
    view = json.loads(told.output)
    assert view["live"] and view["inside"] > 3 and view["handed_on"] == 0
    assert not list((data / "operator").glob("*.json"))
    told = call(*common)
    assert f"{view['inside']} were handed to the workers" in told.output
    World(data, records(11, COUNT), LIVE).run()
    assert sum(row["reason"] == "backfill" for row in follow_ups(data, "decisions")) > 3


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("--scenario", "a"), "say with --from since when"),
        (("--scenario", "a", "--from", "2026-01-01", "--to", "2026-02-01"), "leave --to out"),
        (("--scenario", "a", "--from", "2026-01-01", "--input", "a", "--mapping", "b"), "name --data or --kafka"),
    ],
)
def test_wrong_use_is_said_in_a_sentence(words: tuple[str, ...], wanted: str) -> None:
    done = call(*words)
    assert isinstance(done.exception, ParcoursError) and done.exception.exit_code == 2
    assert wanted in str(done.exception)
