"""People and a connection to the simulated provider."""

from typing import Any

import pytest
from django.test import Client

# The whole of it stands in no page, answer, audit event or log line.
KEY = "sk-admin-SECRETSECRETSECRETSECRET-0042"


@pytest.fixture
def admin(acme: Any, client_of: Any) -> Client:
    return client_of(acme.admin)


@pytest.fixture
def viewer(acme: Any, client_of: Any) -> Client:
    return client_of(acme.viewer)


@pytest.fixture
def access(bills: Any) -> dict[str, str]:
    """What the simulated OpenAI accepts, by its plugin's names."""
    return {"admin_key": KEY, "base_url": f"{bills.url}/v1"}
