"""One short row of the harness on a real broker, so that the harness itself stays whole; `make fault` runs them all."""

import subprocess
import sys

import pytest

from agents import localkafka
from tests.fault.planted import BUGS
from tests.fault.run import ROOT
from tests.sim.cluster import bugs

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(300)]


def test_a_worker_killed_in_an_open_transaction_loses_doubles_and_alters_nothing() -> None:
    if not (localkafka.jars_folder() / "complete").exists():
        pytest.skip("no broker: `make setup` fetches one")
    words = [sys.executable, "-m", "tests.fault.run", "--rows", "kill", "--seed", "7", "--injections", "1"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed, 0 void, 0 failed" in done.stdout


def test_every_planted_bug_can_be_put_into_a_worker() -> None:
    assert set(BUGS) >= set(bugs.BUGS)
    for name, patches in BUGS.items():
        assert patches(), name
