"""Is the process alive (`/healthz`), and can it do its work (`/readyz`)?

PostgreSQL decides readiness: without it nothing can be stored. Redis is a doorbell and a cache, so an instance
without it still takes spans; it is listed as degraded.
"""

import asyncio
import dataclasses
import datetime as dt
from typing import Any

import psycopg
from django.conf import settings
from django.db import connections
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from health_check.base import HealthCheck
from health_check.exceptions import ServiceUnavailable
from redis import Redis, RedisError

PROBE_SECONDS = 2


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers. No dependency is asked: restarting it would not bring one back.

    `time` lets a client compare clocks: Daphne sends no Date.
    """
    now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
    version = settings.LLMLAB_VERSION
    return JsonResponse({"status": "ok", "service": "llmlab", "version": version, "time": now})


@dataclasses.dataclass
class Database(HealthCheck):
    """A new connection, so that an exhausted pool does not look like a dead server; then the schema's version."""

    timeout = dt.timedelta(seconds=PROBE_SECONDS)

    def run(self) -> None:
        """Raises ServiceUnavailable with a reason that names no address or user."""
        try:
            with psycopg.connect(**probe_parameters()) as connection:
                rows = connection.execute("SELECT app, name FROM django_migrations").fetchall()
        except psycopg.errors.UndefinedTable:
            raise ServiceUnavailable(
                "The database is empty. Run: python manage.py migrate"
            ) from None
        except psycopg.Error as error:
            raise ServiceUnavailable(
                f"PostgreSQL does not answer ({type(error).__name__})."
            ) from None
        missing = missing_migrations({(row[0], row[1]) for row in rows})
        if missing:
            raise ServiceUnavailable(
                f"{len(missing)} migrations are not applied, first {missing[0]}. Run: python manage.py migrate"
            )


@dataclasses.dataclass
class Broker(HealthCheck):
    """Redis: broker, cache and live updates."""

    timeout = dt.timedelta(seconds=PROBE_SECONDS)

    def run(self) -> None:
        """Raises ServiceUnavailable."""
        options = {"socket_timeout": PROBE_SECONDS, "socket_connect_timeout": PROBE_SECONDS}
        try:
            with Redis.from_url(settings.REDIS_URL, **options) as client:
                client.ping()
        except (RedisError, OSError) as error:
            raise ServiceUnavailable(
                f"Redis does not answer ({type(error).__name__}): live updates and background work wait."
            ) from None


def probe_parameters() -> dict[str, Any]:
    """Django's connection parameters without pool and Django-only options."""
    wrapper = connections["default"]
    parameters = wrapper.get_connection_params()
    wanted = {
        "dbname",
        "user",
        "password",
        "host",
        "port",
        "sslmode",
        "sslrootcert",
        "sslcert",
        "sslkey",
    }
    return {name: value for name, value in parameters.items() if name in wanted} | {
        "connect_timeout": PROBE_SECONDS,
        "autocommit": True,
        "options": f"-c statement_timeout={PROBE_SECONDS * 1000}",
    }


_disk_migrations: dict[tuple[str, str], list[tuple[str, str]]] = {}


def missing_migrations(applied: set[tuple[str, str]]) -> list[str]:
    """Names of migrations this code has and the database has not."""
    if not _disk_migrations:  # read once: the code of a process does not change
        loader = MigrationLoader(None, ignore_no_migrations=True)
        _disk_migrations.update(
            {key: list(m.replaces) for key, m in loader.disk_migrations.items()}
        )
    replaced = {key for keys in _disk_migrations.values() for key in keys}
    return sorted(
        f"{app}.{name}"
        for (app, name), replaces in _disk_migrations.items()
        if (app, name) not in applied
        and (app, name) not in replaced
        and not (replaces and set(replaces) <= applied)
    )


@require_safe
@never_cache
async def readyz(request: HttpRequest) -> HttpResponse:
    """200 when spans can be stored; 503 names what is missing. Each dependency is asked for at most three seconds."""
    database, broker = await asyncio.gather(Database().get_result(), Broker().get_result())
    checks = {
        "database": {"status": "failed", "detail": database.error.message}
        if database.error
        else {"status": "ok"},
        "redis": {"status": "degraded", "detail": broker.error.message}
        if broker.error
        else {"status": "ok"},
    }
    if database.error:
        body: dict[str, Any] = {
            "detail": f"Not ready: {database.error.message}",
            "code": "not_ready",
            "fields": ["database"],
        }
        response = JsonResponse(body | {"status": "unavailable", "checks": checks}, status=503)
        response["Retry-After"] = "2"
        return response
    return JsonResponse({"status": "degraded" if broker.error else "ok", "checks": checks})
