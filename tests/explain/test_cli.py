"""`parcours explain` as a person calls it."""

import json
from pathlib import Path

from click.testing import CliRunner

from agents.cli.explain import explain
from pipeline.errors import ParcoursError
from tests.replay.build import recorded


def run(*words: str | Path) -> tuple[str, BaseException | None]:
    done = CliRunner().invoke(explain, [str(word) for word in words])
    return done.output, done.exception


def test_the_command_tells_one_message_one_scenario_or_everything(tmp_path: Path) -> None:
    data = recorded(tmp_path / "data", 120)
    common = ("--data", data, "--customer", "c0")
    raw, _ = run(*common, "--json")
    whole = json.loads(raw)
    step = next(one for passage in whole["passages"] for one in passage["steps"] if one["outcome"] == "sent")
    text, error = run(*common, "--command", step["command"])
    assert error is None
    assert step["command"] in text and step["text"] in text
    assert text.count("message ") == 1
    text, error = run(*common, "--command", step["command"], "--deep")
    assert error is None and step["text"] in text
    text, _ = run(*common, "--scenario", "abandoned-cart", "--deep")
    assert "purchase:" not in text and "abandoned-cart:" in text
    for words, wanted in (
        (("--customer", "c0", "--command", "ff"), "has a message 'ff'"),
        (("--customer", "c0", "--scenario", "ff"), "nothing to do with a scenario 'ff'"),
        (("--customer", "nobody"), "holds nothing of customer 'nobody'"),
    ):
        _, error = run("--data", data, *words)
        assert isinstance(error, ParcoursError) and wanted in str(error)
        assert error.exit_code == 2
