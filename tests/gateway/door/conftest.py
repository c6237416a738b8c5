"""A project whose key opens a door of our own server."""

import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from django.conf import settings
from django.core.management import call_command
from redis import Redis

from gateway.connections.secrets import seal_key
from gateway.models import Connection, ConnectionKey
from projects.models import Project
from tests.factories.gateway import ConnectionFactory
from tests.factories.projects import ApiKeyFactory, ProjectFactory
from tests.fakes.simulator import running_simulator
from tests.functional.server import ROOT, Server, _environ, running_server

# Where nobody listens.
NOBODY = "127.0.0.1:9"


@pytest.fixture(scope="session")
def gateway(django_db_setup: None, tmp_path_factory: Any) -> Iterator[Server]:
    """One web process, so that all of a test meets the same one."""
    with running_server(tmp_path_factory.mktemp("gateway"), processes=1) as running:
        yield running


@pytest.fixture(scope="module")
def simulator() -> Iterator[str]:
    with running_simulator() as address:
        yield address


@contextmanager
def running_worker(simulator: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker as the Procfile starts it, ready to take calls, that may call the simulator."""
    command = [sys.executable, "-m", "celery", "--quiet", "-A", "config", "worker"]
    command += ["--pool", "threads", "--concurrency", "1", "--hostname", f"{uuid.uuid4().hex}@%h"]
    command += ["--queues", "llm.high,llm.normal,llm.low", "--without-gossip", "--without-mingle"]
    environment = {
        **_environ(0, 1),
        "CELERY_SKIP_CHECKS": "1",
        "LLMLAB_OUTBOUND_ALLOW": f"{urlsplit(simulator).netloc},{NOBODY}",
    }
    with Redis.from_url(settings.REDIS_URL) as redis:
        before = redis.zcard("{gw}:workers")
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while redis.zcard("{gw}:workers") <= before and time.monotonic() < end:
            assert process.poll() is None, "The worker did not start."
            time.sleep(0.02)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


@pytest.fixture(scope="module")
def worker(simulator: str, db: None) -> Iterator["subprocess.Popen[bytes]"]:
    with running_worker(simulator) as process:
        yield process


@pytest.fixture(scope="module")
def db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The database without a transaction around each test: the server's processes see all of it."""
    with django_db_blocker.unblock():
        yield
        # As after each transactional test; also what a worker recorded of projects that are gone.
        call_command("flush", verbosity=0, interactive=False)


@pytest.fixture(scope="module", autouse=True)
def _empty_redis() -> None:
    """Once: programs that run for the whole module have things there."""
    with Redis.from_url(settings.REDIS_URL) as client:
        client.flushdb()


@pytest.fixture(scope="module")
def key(db: None) -> Any:
    """Of a project with a connection to OpenAI; `key.raw` is what clients send."""
    return make_key()


def connect(project: Project, kind: str, address: str = "") -> Connection:
    """A connection of the project's organisation, with a key."""
    made: Connection = ConnectionFactory(
        organization=project.organization, kind=kind, name=kind.title(), base_url=address
    )
    key = uuid.uuid4()
    sealed = seal_key(project.organization, key, "sk-simulator")
    ConnectionKey.objects.create(pk=key, connection=made, sealed=sealed, hint="sk-…tor")
    return made


def until(is_so: Callable[[], bool]) -> None:
    """Wait for what other processes do."""
    end = time.monotonic() + 5
    while not is_so():
        assert time.monotonic() < end, "It did not come."
        time.sleep(0.02)


def make_key(simulator: str = "") -> Any:
    """A key of a project of its own; with `simulator` its calls are answered there."""
    project = ProjectFactory()
    raw = f"llmlab_sk_{project.pk.hex}"
    made = ApiKeyFactory(project=project, raw=raw, scopes=["gateway"])
    made.raw = raw
    connect(project, "openai", f"{simulator}/v1" if simulator else "")
    if simulator:
        connect(project, "anthropic", simulator)
    return made


@pytest.fixture(scope="module")
def http(gateway: Server, key: Any) -> Iterator[httpx2.Client]:
    """A plain client that sends the key."""
    headers = {"authorization": f"Bearer {key.raw}"}
    with httpx2.Client(
        base_url=gateway.url, headers=headers, timeout=10, trust_env=False
    ) as client:
        yield client
