"""`parcours pause|resume|stop` on a data folder: what the next run does."""

import json
from pathlib import Path

from tests.acceptance.running import lines_of
from tests.unit.test_cli import CART, history, parcours


def run(data: Path, file: Path) -> None:
    done = parcours(
        "run", "--data", data, "--input", file, "--mapping", "native", "--until-end", "--advance", "2h", "--no-console",
        "--set", "consent_default=granted", "--set", "require_address=false",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_paused_scenario_sends_nothing_until_it_is_resumed(tmp_path: Path) -> None:
    data, file = tmp_path / "d", tmp_path / "clicks.json"
    lines: list[str] = []
    for number, word in enumerate((None, "pause", "resume", "stop")):
        if word is not None:
            done = parcours(word, "abandoned-cart", "--data", data)
            assert done.returncode == 0, done.stderr
        event = {**CART, "customer": f"c{number}", "occurred_at": f"2026-01-{5 + number:02}T10:00:00Z"}
        lines.append(json.dumps(event))
        file.write_text("\n".join(lines) + "\n")
        run(data, file)
    sent = [row["customer"] for row in lines_of("commands", "--data", data) if row["step"] == "reminder"]
    assert sent == ["c0", "c2"]
    reasons = {(row["outcome"], row["reason"]) for row in lines_of("decisions", "--data", data)}
    assert {("suppressed", "paused"), ("exited", "stopped"), ("not_entered", "stopped")} <= reasons


def test_a_scenario_that_is_not_live_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    data = tmp_path / "d"
    run(data, history(tmp_path, CART))
    done = parcours("pause", "abandoned-carts", "--data", data)
    assert done.returncode == 2
    assert "no scenario of the live plan is named 'abandoned-carts'; did you mean abandoned-cart?" in done.stderr
