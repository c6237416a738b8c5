"""A project with a connection, and people."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from redis import Redis

from tests.factories.gateway import ConnectionFactory, ConnectionKeyFactory
from tests.factories.projects import ProjectFactory


@pytest.fixture
def project(acme: SimpleNamespace) -> Any:
    with Redis.from_url(settings.REDIS_URL) as client:
        client.delete("{gw}:circuits", "{gw}:figures")
    return ProjectFactory.create(organization=acme.organization, slug="checkout", name="Checkout")


@pytest.fixture
def west(acme: SimpleNamespace) -> Any:
    made = ConnectionFactory.create(organization=acme.organization, name="West")
    ConnectionKeyFactory.create(connection=made)
    return made


@pytest.fixture
def east(acme: SimpleNamespace) -> Any:
    made = ConnectionFactory.create(organization=acme.organization, name="East", kind="anthropic")
    ConnectionKeyFactory.create(connection=made)
    return made


@pytest.fixture
def admin(acme: SimpleNamespace, client_of: Any) -> Client:
    client: Client = client_of(acme.admin)
    return client


@pytest.fixture
def viewer(acme: SimpleNamespace, client_of: Any) -> Client:
    client: Client = client_of(acme.viewer)
    return client
