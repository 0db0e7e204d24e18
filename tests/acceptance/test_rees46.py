"""The clickstream of a real store, end to end in one process: the right reminders, whatever is killed."""

import random
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.acceptance.running import REES46, lines_of, run_history
from tests.reference import rees46_fold

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not REES46.exists(), reason=f"the real store data is not at {REES46}"),
]
KILLS = 20
THIRD = {"voucher": "third", "cross_sell": "third"}


def finish(data: Path) -> str:
    done = subprocess.run(
        run_history(data, REES46, "rees46", "7d"), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("undisturbed")
    finish(data)
    return data


def test_reminders_go_to_exactly_the_customers_and_times_that_a_naive_fold_expects(undisturbed: Path) -> None:
    found = {
        (row["customer"], THIRD.get(row["step"], row["step"]), datetime.fromisoformat(row["due_at"]))
        for row in lines_of("commands", "--data", undisturbed)
        if row["scenario"] == "abandoned-cart"
    }
    assert found == rees46_fold.expected(REES46, timedelta(days=7))
    assert len(found) == 159


def test_the_ledger_of_a_finished_history_closes(undisturbed: Path) -> None:
    [ledger] = lines_of("ledger", "--data", undisturbed)
    events, commands = ledger["events"], ledger["commands"]
    assert events["in"] == events["applied"] + events["duplicate"] + events["dead_lettered"]
    ends = ("sent", "rejected", "expired", "cancelled", "unknown", "pending")
    assert commands["in"] == sum(commands[end] for end in ends)
    assert commands["pending"] == 0


def test_a_second_run_over_a_finished_history_sends_nothing_again(undisturbed: Path) -> None:
    before = lines_of("commands", "--data", undisturbed)
    finish(undisturbed)
    assert lines_of("commands", "--data", undisturbed) == before


@pytest.mark.slow
def test_kill_9_at_twenty_random_moments_gives_the_same_commands_byte_for_byte(
    undisturbed: Path, tmp_path: Path
) -> None:
    dice = random.Random(46)
    killed = 0
    for _ in range(KILLS):
        # Start-up takes some 0.4 s and the whole work about 2 s: each try gets a little further.
        process = subprocess.Popen(run_history(tmp_path, REES46, "rees46", "7d"), stdout=subprocess.DEVNULL)
        try:
            process.wait(timeout=dice.uniform(0.3, 0.6))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed += 1
    finish(tmp_path)
    assert killed >= KILLS // 2, "the run ended before most of the kills: nothing was shown"
    assert lines_of("commands", "--data", tmp_path) == lines_of("commands", "--data", undisturbed)
    # A command that was in hand when the process died has a second intent; its end is the same.
    assert ends(tmp_path) == ends(undisturbed)


def ends(data: Path) -> list[dict[str, object]]:
    return [row for row in lines_of("receipts", "--data", data) if row["state"] != "intent"]
