"""The test run's services, its partitions, and the walls around it: sockets go to loopback only."""

import datetime as dt
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from config.embedded import testing

pytest_plugins = ["tests.tenants", "tests.fakes.billing"]
# A slow machine is no failure, and a run that is repeated finds the same: new examples are looked for with
# `--hypothesis-profile=default`.
settings.register_profile(
    "llmlab", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("llmlab")
BACK_DAYS = 7
_services: list[Any] = []
_connect = socket.socket.connect
_connect_ex = socket.socket.connect_ex


def pytest_configure(config: pytest.Config) -> None:
    """PostgreSQL and Redis start once per run, before xdist starts its workers."""
    if not _services and not config.option.collectonly:
        _services.extend(testing.start_reserved())


def pytest_unconfigure(config: pytest.Config) -> None:
    testing.stop(_services)
    _services.clear()


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Name bytes by their argument: packed or drawn bytes differ from worker to worker, and xdist
    refuses to run tests whose names differ."""
    return argname if isinstance(val, bytes) else None


class OutsideNetworkError(RuntimeError):
    """A test tried to leave the machine."""


def _check_loopback(target: Any) -> None:
    if isinstance(target, tuple) and target[0] not in {"127.0.0.1", "::1", "localhost", ""}:
        raise OutsideNetworkError(
            f"Tests talk to loopback only, not to {target!r}. Use a fake in tests/fakes."
        )


@pytest.fixture(scope="session", autouse=True)
def _loopback_only() -> Iterator[None]:
    def connect(self: socket.socket, address: Any) -> None:
        _check_loopback(address)
        _connect(self, address)

    def connect_ex(self: socket.socket, address: Any) -> int:
        _check_loopback(address)
        return _connect_ex(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect)
        patch.setattr(socket.socket, "connect_ex", connect_ex)
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """After the migrations: day partitions of the last week and the next days.

    At the end, sessions that threads of the code under test left open are closed, so that the database can be dropped.
    """
    from django.db import connection

    from core import partitions

    today = dt.datetime.now(dt.UTC).date()
    with django_db_blocker.unblock():
        partitions.ensure_ahead(today)
        partitions.ensure_days(today - dt.timedelta(days=back) for back in range(2, BACK_DAYS + 1))
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.fixture(autouse=True)
def _empty_redis(request: pytest.FixtureRequest) -> None:
    """A test with the database starts with an empty Redis database, its worker's own."""
    if request.node.get_closest_marker("django_db") or {"db", "transactional_db"} & set(
        request.fixturenames
    ):
        from django.conf import settings
        from redis import Redis

        with Redis.from_url(settings.REDIS_URL) as client:
            client.flushdb()


@pytest.fixture(autouse=True)
def tenant_guard() -> Iterator[Any]:
    """No query on a tenant table without its tenant, in any test (tests/tenant_guard.py)."""
    from tests.tenant_guard import guarding

    with guarding() as guard:
        yield guard
    assert not guard.found, "Queries without their tenant:\n" + "\n".join(map(str, guard.found))
