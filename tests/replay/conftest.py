"""One recorded store for all tests that only read it."""

from pathlib import Path

import pytest

from tests.replay.build import recorded
from tests.replay.cli import Shell


@pytest.fixture(scope="package")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("store") / "data")


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capfd)
