"""A plan decides by the rules under which it was read: an old one as before, after whatever upgrade."""

from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.scenario import compile as compiling
from pipeline.scenario import sources
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.sources import PlanSources, read_sources


def test_a_plan_keeps_its_rule_version_through_an_upgrade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.yaml").write_text("timezone: UTC\n")
    old = read_sources(tmp_path)
    monkeypatch.setattr(sources, "RULE_VERSION", 2)
    monkeypatch.setattr(compiling, "RULE_VERSION", 2)
    new = read_sources(tmp_path)
    assert (old.rule_version, new.rule_version) == (1, 2)
    assert old.hash != new.hash, "the same files under other rules are another plan"
    kept = PlanSources.decode(old.encode())
    assert kept.hash == old.hash
    assert (compile_plan(kept).settings.rule_version, compile_plan(new).settings.rule_version) == (1, 2)


def test_a_plan_of_a_newer_release_is_refused() -> None:
    with pytest.raises(UsageError, match="decides by version 2 of the rules, this release knows up to 1"):
        compile_plan(PlanSources({"settings.yaml": "{}", "rules.json": "2"}))


def test_nobody_can_say_by_a_file_which_rules_hold(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("{}\n")
    (tmp_path / "rules.json").write_text("7")
    assert read_sources(tmp_path).rule_version == 1
