"""A real broker for the tests: the one at KAFKA_BOOTSTRAP, else one of our own from Python packages."""

import os
from collections.abc import Iterator

import pytest

from agents import localkafka
from pipeline.errors import RunError


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    given = os.environ.get("KAFKA_BOOTSTRAP")
    if given:
        yield given
        return
    folder = tmp_path_factory.mktemp("kafka")
    try:
        address = localkafka.start(folder)
    except RunError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no broker: {error}; `make setup` fetches one")
    yield address
    localkafka.stop(folder)
