"""A receiver that answers as told, and a clock that tests move."""

from collections.abc import Iterator

import pytest
from django.test import override_settings

from tests.alerts.receiving import Clock, Receiver
from tests.fakes.http_server import FakeServer, running_server


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def server(receiver: Receiver) -> Iterator[FakeServer]:
    with running_server(receiver) as fake, override_settings(LLMLAB_OUTBOUND_ALLOW=["127.0.0.1"]):
        yield fake


@pytest.fixture
def clock() -> Clock:
    return Clock()
