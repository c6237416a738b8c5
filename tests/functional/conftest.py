"""One server and one simulated provider for all functional tests of a worker."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.simulator import running_simulator
from tests.functional.browser import browser, page_for
from tests.functional.server import Server, running_server

__all__ = ["browser", "page_for", "server", "simulator"]


@pytest.fixture(scope="session")
def server(django_db_setup: None, tmp_path_factory: Any) -> Iterator[Server]:
    """Use it together with `transactional_db`: another process only sees what is committed."""
    with running_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="session")
def simulator() -> Iterator[str]:
    with running_simulator() as address:
        yield address
