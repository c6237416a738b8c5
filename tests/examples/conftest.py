"""One simulated provider for all tests of the examples."""

from collections.abc import Iterator

import pytest

from tests.fakes.simulator import running_simulator


@pytest.fixture(scope="session")
def simulator_url() -> Iterator[str]:
    with running_simulator() as url:
        yield url
