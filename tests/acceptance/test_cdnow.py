"""Eighteen months of a real shop's purchases: retention and reactivation reach whom a naive fold expects, when it does.

One customer of fifty by default; PARCOURS_CDNOW=all takes the whole file.
"""

import gzip
import os
import shutil
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.acceptance.running import CDNOW, OPEN_TO_ALL, command, lines_of
from tests.reference import cdnow_fold

WHOLE = os.environ.get("PARCOURS_CDNOW") == "all"
pytestmark = [
    pytest.mark.data,
    pytest.mark.timeout(1800 if WHOLE else 300),
    pytest.mark.skipif(not CDNOW.exists(), reason=f"the real store data is not at {CDNOW}"),
]
SCENARIOS = Path(__file__).parents[2] / "scenarios"
ADVANCE = timedelta(days=120)
ONE_OF = 50


@pytest.fixture(scope="module")
def purchases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if WHOLE:
        return CDNOW
    path = tmp_path_factory.mktemp("cdnow") / "cdnow.txt"
    with gzip.open(CDNOW, "rt") as file, path.open("w") as out:
        out.write(next(file))
        out.writelines(line for line in file if int(line.split()[0]) % ONE_OF == 0)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, purchases: Path) -> Path:
    folder = tmp_path_factory.mktemp("cdnow_run")
    for name in ("retention", "reactivation", "shared"):
        shutil.copytree(SCENARIOS / name, folder / "plan" / name)
    shutil.copy(SCENARIOS / "settings.yaml", folder / "plan")
    words = command(
        "run", "--data", folder / "d", "--plan", folder / "plan", "--input", purchases, "--mapping", "cdnow",
        "--until-end", "--advance", f"{ADVANCE.days}d", "--no-console", *OPEN_TO_ALL,
        "--set", "timezone=America/New_York", "--set", "store.currency=USD",
    )  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "d"


def test_customers_and_days_are_those_of_a_naive_fold(data: Path, purchases: Path) -> None:
    found = {
        (row["customer"], row["step"], datetime.fromisoformat(row["due_at"]))
        for row in lines_of("commands", "--data", data)
    }
    assert found == cdnow_fold.expected(purchases, ADVANCE)
    assert {step for _, step, _ in found} == {"content", "offer", "store_and_help", "special_offer"}
    assert len(found) == (159_909 if WHOLE else 3_089)


def test_every_message_went_out_and_the_ledger_closes(data: Path, purchases: Path) -> None:
    [ledger] = lines_of("ledger", "--data", data)
    events, commands = ledger["events"], ledger["commands"]
    assert events["in"] == events["applied"] + events["duplicate"] + events["dead_lettered"]
    assert commands["pending"] == 0
    assert commands["in"] == commands["sent"] + commands["cancelled"]
