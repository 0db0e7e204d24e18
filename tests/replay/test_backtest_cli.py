"""`parcours backtest` on a folder and on a file: whole results, or none."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.runtime.reading import command_view
from tests.acceptance.running import OPEN_TO_ALL, command, lines_of, parcours
from tests.replay.cli import Shell
from tests.sim.world import SCENARIOS, records

SENDERS = "senders: {email: {smtp: {rate: 0.001}}}\n"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store's events as a file of history, one object a line; some lines cannot be read.

    Nobody is erased: the address of who comes back is held at the sender, which a file's backtest has none of.
    """
    path = tmp_path_factory.mktemp("file") / "shop.ndjson"
    path.write_bytes(
        b"\n".join(record.value or b"" for record in records(3, 600) if b"erasure" not in (record.value or b"")) + b"\n"
    )
    return path


def history(file: Path) -> tuple[str | Path, ...]:
    return ("--input", file, "--mapping", "native", "--advance", "7d")


def jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_a_backtest_of_a_file_sends_what_a_run_over_the_file_sent(file: Path, tmp_path: Path, shell: Shell) -> None:
    done = parcours("run", "--data", tmp_path / "live", *history(file), "--until-end", "--no-console", *OPEN_TO_ALL)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    plan = ("--plan", SCENARIOS, *OPEN_TO_ALL)
    said = shell("backtest", *plan, *history(file), "--out", out, "--processes", "1", "--json")
    assert said.code == 0, said.err
    live = {row["id"]: row for row in lines_of("commands", "--data", tmp_path / "live")}
    assert {row["id"]: command_view(row) for row in jsonl(out / "commands.jsonl")} == live != {}
    figures = json.loads(said.out)
    assert json.loads((out / "summary.json").read_text()) == figures
    assert figures["sent"] == len(live)
    refused = lines_of("deadletters", "--data", tmp_path / "live")
    assert sum(figures["refused"].values()) == len(refused) > 0


def test_the_summary_adds_up_and_sets_the_busiest_hour_against_the_rate(
    data: Path, tmp_path: Path, shell: Shell
) -> None:
    out = tmp_path / "out"
    said = shell("backtest", "--data", data, "--out", out, "--json")
    assert said.code == 0, said.err
    figures, sent, why = json.loads(said.out), jsonl(out / "commands.jsonl"), jsonl(out / "decisions.jsonl")
    customers = {row["customer"] for row in sent}
    assert figures["sent"] == len(sent) == sum(int(n) * count for n, count in figures["messages_per_customer"].items())
    assert figures["customers"] == sum(figures["messages_per_customer"].values()) >= len(customers)
    for name, one in figures["scenarios"].items():
        mine = [row for row in why if row.get("scenario") == name]
        assert one["entered"] == sum(row["outcome"] == "entered" for row in mine)
        assert sum(one["exits"].values()) == sum(row["outcome"] == "exited" for row in mine)
        assert one["goals"]["reached"] == sum(row["outcome"] == "goal" for row in mine)
        values = [row["detail"].get("value", 0) for row in mine if row["outcome"] == "goal"]
        assert one["goals"]["value"] == sum(values)
        passed = sum(count for reasons in one["suppressed"].values() for count in reasons.values())
        assert passed == sum(row["outcome"] == "suppressed" for row in mine)
        by_step = sum(count for channels in one["sent"].values() for count in channels.values())
        assert by_step == sum(row["scenario"] == name for row in sent)
    assert figures["busiest_hour"]["email"]["limit"] is None


def test_the_busiest_hour_is_set_against_the_rate_of_the_provider(data: Path, tmp_path: Path, shell: Shell) -> None:
    plan = tmp_path / "plan"
    subprocess.run(["cp", "-r", str(SCENARIOS), str(plan)], check=True)
    settings = plan / "settings.yaml"
    settings.write_text(settings.read_text().partition("senders:")[0] + SENDERS)
    words = ("backtest", "--plan", plan, *OPEN_TO_ALL, "--data", data, "--processes", "1")
    hour = json.loads(shell(*words, "--json").out)["busiest_hour"]["email"]
    assert hour["limit"] == 3
    assert hour["minutes"] == hour["messages"] * 20
    assert "the provider takes 3 an hour" in shell(*words).out


def test_results_that_are_there_already_are_not_overwritten(data: Path, tmp_path: Path, shell: Shell) -> None:
    (tmp_path / "out").mkdir()
    said = shell("backtest", "--data", data, "--out", tmp_path / "out")
    assert (said.code, said.out) == (2, "")
    assert "is there already" in said.err
    assert list((tmp_path / "out").iterdir()) == []


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.02)


def test_a_terminal_sees_how_far_it_is_at_which_rate_and_how_long_it_takes(data: Path) -> None:
    mine, its = pty.openpty()
    words = command("backtest", "--data", data, "--processes", "1")
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=its, env={**os.environ, "TERM": "xterm"}) as process:
        os.close(its)
        shown = b""
        # The other end is closed when the process has ended: Linux says so by an error.
        with contextlib.suppress(OSError):
            while part := os.read(mine, 4096):
                shown += part
    os.close(mine)
    assert process.returncode == 0
    assert b"replaying" in shown
    assert re.search(rb"[\d,]+ events/s", shown)
    assert re.search(rb"\d+%", shown)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_in_the_middle_leaves_nothing(data: Path, tmp_path: Path, number: signal.Signals) -> None:
    scratch, out = tmp_path / "scratch", tmp_path / "out"
    scratch.mkdir()
    words = command("backtest", "--data", data, "--out", out, "--processes", "2")
    with subprocess.Popen(words, stderr=subprocess.PIPE, env={**os.environ, "TMPDIR": str(scratch)}) as process:
        # A unit's folder is there: its process is at work.
        wait_for(lambda: any(scratch.glob("parcours-replay-*/part-*")), "the replay has begun")
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert list(scratch.iterdir()) == []
    assert sorted(tmp_path.iterdir()) == [scratch]
    assert b"Traceback" not in err
