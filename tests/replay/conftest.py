"""One recorded store for all tests that only read it."""

from pathlib import Path

import pytest

from tests.replay.build import recorded


@pytest.fixture(scope="package")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("store") / "data")
