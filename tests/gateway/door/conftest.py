"""A project whose key opens a door of our own server."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from django.conf import settings
from redis import Redis

from accounts.models import Organization
from tests.factories.gateway import ConnectionFactory
from tests.factories.projects import ApiKeyFactory, ProjectFactory
from tests.functional.server import Server, running_server


@pytest.fixture(scope="session")
def gateway(django_db_setup: None, tmp_path_factory: Any) -> Iterator[Server]:
    """One web process, so that all of a test meets the same one."""
    with running_server(tmp_path_factory.mktemp("gateway"), processes=1) as running:
        yield running


@pytest.fixture(scope="module")
def db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The database without a transaction around each test: the server's processes see all of it."""
    with django_db_blocker.unblock():
        yield
        for organization in Organization.objects.all():
            organization.delete()


@pytest.fixture(scope="module", autouse=True)
def _empty_redis() -> None:
    """Once: programs that run for the whole module have things there."""
    with Redis.from_url(settings.REDIS_URL) as client:
        client.flushdb()


@pytest.fixture(scope="module")
def key(db: None) -> Any:
    """Of a project with a connection to OpenAI; `key.raw` is what clients send."""
    return make_key()


def make_key() -> Any:
    """A key of a project of its own."""
    project = ProjectFactory()
    raw = f"llmlab_sk_{project.pk.hex}"
    made = ApiKeyFactory(project=project, raw=raw, scopes=["gateway"])
    made.raw = raw
    ConnectionFactory(organization=project.organization, kind="openai", name="OpenAI")
    return made


@pytest.fixture(scope="module")
def http(gateway: Server, key: Any) -> Iterator[httpx2.Client]:
    """A plain client that sends the key."""
    headers = {"authorization": f"Bearer {key.raw}"}
    with httpx2.Client(
        base_url=gateway.url, headers=headers, timeout=10, trust_env=False
    ) as client:
        yield client
