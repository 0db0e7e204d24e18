"""How properties are tried, whatever the machine; and the long runs that several tests look at."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.acceptance.running import RETAIL, run_history

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def retail_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of an embedded run over a year of invoices and thirty days more."""
    folder = tmp_path_factory.mktemp("retail")
    words = run_history(folder, RETAIL, "uci-retail", "30d")
    done = subprocess.run(words, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    return folder
