"""A draft with a wrong condition is caught before it is published, on the clickstream of a real store."""

import json
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.acceptance.running import OPEN_TO_ALL, REES46, lines_of, parcours, run_history
from tests.reference import rees46_fold

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not REES46.exists(), reason=f"the real store data is not at {REES46}"),
]
SHIPPED = Path(__file__).parents[2] / "scenarios"
# Meant for carts of 1,000 and more; as it is written, everybody gets the voucher.
WRONG = "cart.total >= 0"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("live")
    subprocess.run(run_history(data, REES46, "rees46", "7d"), check=True, capture_output=True, timeout=300)
    return data


@pytest.fixture(scope="module")
def draft(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan") / "draft"
    shutil.copytree(SHIPPED, folder)
    file = folder / "abandoned-cart" / "scenario.yaml"
    yaml = YAML()
    scenario = yaml.load(file.read_text())
    voucher, cross_sell = (path["then"] for path in scenario["steps"].pop()["paths"])
    scenario["steps"].append({"branch": [{"when": WRONG, "then": voucher}, {"otherwise": cross_sell}]})
    with file.open("w") as out:
        yaml.dump(scenario, out)
    return folder


def test_a_voucher_to_everyone_is_caught_with_the_right_count(live: Path, draft: Path, tmp_path: Path) -> None:
    page, text = tmp_path / "diff.html", tmp_path / "diff.md"
    words = ("diff", "--plan", draft, "--data", live, *OPEN_TO_ALL, "--fail-over", "0.5%", "--json")
    done = parcours(*words, "--html", page, "--markdown", text)
    assert done.returncode == 1, done.stderr
    figures = json.loads(done.stdout)
    others = {row["customer"] for row in lines_of("commands", "--data", live) if row["step"] == "cross_sell"}
    everybody = {row[0] for row in rees46_fold.expected(REES46, timedelta(days=7)) if row[1] == "third"}
    [voucher] = [one for one in figures["steps"] if one["step"] == "voucher"]
    assert voucher["now"] == len(everybody) == 53
    assert figures["kinds"] == {"appears": len(others), "disappears": len(others), "moves": 0, "changes": 0}
    assert figures["customers"]["any"] == len(others) == 30
    appears = next(one for one in figures["changes"] if one["kind"] == "appears")
    assert appears["reasons"] == {"split third_message: cross_sell": 30}
    [held] = [one for one in appears["examples"][0]["conditions"]["now"] if one["alone"]]
    assert (held["source"], held["held"]) == (WRONG, True)
    assert held["values"]["cart.total"].endswith(" EUR")
    assert "<svg" in page.read_text()
    assert "30 sent by the draft alone" in text.read_text()


def test_the_live_plan_itself_passes_any_limit(live: Path) -> None:
    done = parcours("diff", "--plan", SHIPPED, "--data", live, *OPEN_TO_ALL, "--fail-over", "0%")
    assert done.returncode == 0, done.stderr
    sent = len(lines_of("commands", "--data", live))
    assert done.stdout.startswith(f"0 of {sent:,} messages differ (0.0%)")
