"""A real broker with a listener for each way to log in, and certificates of the tests' own authority."""

from collections.abc import Iterator

import pytest

from tests.deploy.secured import SecuredBroker


@pytest.fixture(scope="package")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    broker = SecuredBroker(tmp_path_factory.mktemp("secured"))
    broker.start()
    yield broker
    broker.stop()
