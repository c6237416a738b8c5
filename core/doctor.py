"""What `manage.py doctor` looks at: each check names what is wrong and what to do about it."""

import base64
import binascii
import datetime as dt
import json
import os
import shutil
import socket
import sys
import tempfile
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from django.conf import settings
from django.utils import timezone
from redis import Redis, RedisError

from core import partitions
from core.health import missing_migrations, probe_parameters

MIB = 1024 * 1024
MINIMUM_PYTHON = (3, 11)
MINIMUM_POSTGRES = 16
MINIMUM_REDIS = (6, 2)
LOW_DISK_MIB, NO_DISK_MIB = 2048, 256
WORST_SKEW = dt.timedelta(seconds=5)
BEAT_SILENCE = dt.timedelta(minutes=2)


class Level(StrEnum):
    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Finding:
    """The outcome of one check; `advice` is empty when nothing needs doing."""

    name: str
    level: Level
    detail: str
    advice: str = ""

    def as_dict(self) -> dict[str, str]:
        """For `--json`."""
        return asdict(self)


def ok(name: str, detail: str) -> Finding:
    return Finding(name, Level.OK, detail)


def warn(name: str, detail: str, advice: str) -> Finding:
    return Finding(name, Level.WARN, detail, advice)


def fail(name: str, detail: str, advice: str) -> Finding:
    return Finding(name, Level.FAIL, detail, advice)


# --- The machine


def python_version() -> list[Finding]:
    """3.11 or newer."""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < MINIMUM_PYTHON:
        return [fail("python", found, "Install Python 3.11 or newer and run: make clean install")]
    return [ok("python", found)]


def packages() -> list[Finding]:
    """Every requirement at exactly its pinned version."""
    wrong = []
    lines = (settings.BASE_DIR / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("#")[0].strip() for line in lines if "==" in line.split("#")[0]]
    for pin in pins:
        name, _, version = pin.partition("==")
        try:
            found = metadata.version(name.partition("[")[0])
        except metadata.PackageNotFoundError:
            found = "missing"
        if found != version:
            wrong.append(f"{name} is {found}, pinned {version}")
    if wrong:
        return [
            fail("packages", "; ".join(wrong), "Run: .venv/bin/pip install -r requirements.txt")
        ]
    return [ok("packages", f"{len(pins)} at their pinned versions")]


def data_directory() -> list[Finding]:
    """Writable, with room to grow."""
    directory: Path = settings.LLMLAB_DATA_DIR
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        advice = "Make it writable for this user, or set LLMLAB_DATA_DIR to another place."
        return [fail("data directory", f"{directory}: {error.strerror}", advice)]
    free = shutil.disk_usage(directory).free // MIB
    detail = f"{directory}, {free} MiB free"
    if free < NO_DISK_MIB:
        return [
            fail(
                "data directory", detail, "Free some space: PostgreSQL stops when the disk is full."
            )
        ]
    if free < LOW_DISK_MIB:
        return [
            warn("data directory", detail, "Free some space, or shorten LLMLAB_RETENTION_DAYS.")
        ]
    return [ok("data directory", detail)]


def secrets() -> list[Finding]:
    """A real secret key and at least one encryption key of 32 bytes."""
    if settings.SECRET_KEY.startswith("insecure"):
        return [fail("secrets", "LLMLAB_SECRET_KEY is not set", "Set it to 50 random characters.")]
    if not settings.LLMLAB_ENCRYPTION_KEYS:
        advice = "Set LLMLAB_ENCRYPTION_KEYS to the base64 of 32 random bytes."
        return [fail("secrets", "no encryption key", advice)]
    if not all(_is_key(text) for text in settings.LLMLAB_ENCRYPTION_KEYS):
        advice = "Each of LLMLAB_ENCRYPTION_KEYS is the base64 of 32 bytes: openssl rand -base64 32"
        return [fail("secrets", "an encryption key has the wrong form", advice)]
    return [
        ok("secrets", f"secret key and {len(settings.LLMLAB_ENCRYPTION_KEYS)} encryption key(s)")
    ]


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == 32
    except binascii.Error:
        return False


# --- PostgreSQL


def database() -> list[Finding]:
    """Reachable, new enough, with pgvector, migrated, with partitions ahead and a clock like ours."""
    try:
        with psycopg.connect(**probe_parameters()) as connection:
            return [
                _server(connection),
                _vector(connection),
                _migrations(connection),
                _clock(connection),
                *_partitions(),
            ]
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        advice = "Start it with `make run`, or check DATABASE_URL."
        return [fail("database", reason, advice)]


def _server(connection: "psycopg.Connection[tuple[object, ...]]") -> Finding:
    version = connection.info.server_version // 10000
    detail = (
        f"PostgreSQL {connection.info.parameter_status('server_version')} at {connection.info.host}"
    )
    if version < MINIMUM_POSTGRES:
        return fail("database", detail, f"Use PostgreSQL {MINIMUM_POSTGRES} or newer.")
    return ok("database", f"{detail} port {connection.info.port}")


def _vector(connection: "psycopg.Connection[tuple[object, ...]]") -> Finding:
    row = connection.execute(
        "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
    ).fetchone()
    if row is None:
        return fail(
            "pgvector", "the extension is not there", "As a superuser: CREATE EXTENSION vector"
        )
    return ok("pgvector", str(row[0]))


def _migrations(connection: "psycopg.Connection[tuple[object, ...]]") -> Finding:
    table = connection.execute("SELECT to_regclass('django_migrations')").fetchone()
    rows = (
        connection.execute("SELECT app, name FROM django_migrations").fetchall()
        if table and table[0]
        else []
    )
    missing = missing_migrations({(str(row[0]), str(row[1])) for row in rows})
    if missing:
        return fail(
            "migrations", f"{len(missing)} missing, first {missing[0]}", "Run: manage.py migrate"
        )
    return ok("migrations", f"{len(rows)} applied")


def _clock(connection: "psycopg.Connection[tuple[object, ...]]") -> Finding:
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    now = row[0] if row else None
    if not isinstance(now, dt.datetime):
        return warn("clock", "PostgreSQL did not tell its time", "Check its client encoding: UTF8.")
    skew = abs(timezone.now() - now)
    detail = f"{skew.total_seconds():.1f} s between this host and PostgreSQL"
    if skew > WORST_SKEW:
        return warn("clock", detail, "Synchronise both clocks (chrony or systemd-timesyncd).")
    return ok("clock", detail)


def _partitions() -> list[Finding]:
    today = timezone.now().date()
    tomorrow = today + dt.timedelta(days=1)
    findings = []
    for table in partitions.registered_tables():
        days = partitions.existing_days(table)
        name = f"partitions of {table}"
        if not {today, tomorrow} <= days:
            advice = "Run: manage.py partitions --ensure, and see that the scheduler runs."
            findings.append(fail(name, "none for today or tomorrow", advice))
        else:
            findings.append(ok(name, f"{sum(day > today for day in days)} days ahead"))
    return findings


# --- Redis, workers


def redis() -> list[Finding]:
    """Reachable, new enough, appendonly, never evicting."""
    options = {"socket_timeout": 2, "socket_connect_timeout": 2}
    try:
        with Redis.from_url(settings.REDIS_URL, **options) as client:
            version = str(client.info("server")["redis_version"])
            persistence = client.info("persistence")
            policy = client.info("memory").get("maxmemory_policy", "unknown")
    except (RedisError, OSError) as error:
        advice = "Start it with `make run`, or check REDIS_URL. Spans are still stored without it."
        return [fail("redis", f"{type(error).__name__}: {error}", advice)]
    if tuple(int(part) for part in version.split(".")[:2]) < MINIMUM_REDIS:
        return [fail("redis", version, "Use Redis 6.2 or newer: Celery needs it.")]
    findings = [ok("redis", f"Redis {version}")]
    if not persistence.get("aof_enabled"):
        findings.append(
            warn("redis appendonly", "off", "Set: appendonly yes, appendfsync everysec")
        )
    if policy != "noeviction":
        findings.append(warn("redis eviction", str(policy), "Set: maxmemory-policy noeviction"))
    return findings


def worker() -> list[Finding]:
    """At least one worker answers, and together they serve every queue."""
    from celery import current_app
    from kombu.exceptions import OperationalError

    try:
        queues = current_app.control.inspect(timeout=1.5).active_queues() or {}
    except (OperationalError, RedisError, OSError):
        return [warn("worker", "cannot ask: Redis does not answer", "Mend Redis first.")]
    if not queues:
        return [
            warn("worker", "none answers", "Start it with `make run`, or see Procfile. Work waits.")
        ]
    served = {queue["name"] for found in queues.values() for queue in found}
    missing = sorted(set(QUEUES) - served)
    if missing:
        return [
            warn(
                "worker", f"no worker serves {', '.join(missing)}", "Name the queues with --queues."
            )
        ]
    return [ok("worker", f"{len(queues)} serving {len(served)} queues")]


QUEUES = ("ingest", "llm.high", "llm.normal", "llm.low", "sync", "analysis", "notify")


def scheduler() -> list[Finding]:
    """Beat sent something within the last minutes."""
    advice = "Start one `celery -A config beat` (`make run` does)."
    try:
        with psycopg.connect(**probe_parameters()) as connection:
            row = connection.execute(
                "SELECT max(last_run_at) FROM django_celery_beat_periodictask"
            ).fetchone()
    except psycopg.Error:
        return [warn("scheduler", "cannot tell without the database", "Mend the database first.")]
    last = row[0] if row else None
    if last is None:
        return [warn("scheduler", "has never run", advice)]
    age = timezone.now() - last
    # Beat writes its runs to the database every three minutes or so.
    if age > BEAT_SILENCE + dt.timedelta(minutes=3):
        return [warn("scheduler", f"last seen {age.total_seconds() / 60:.0f} min ago", advice)]
    return [ok("scheduler", f"last seen {max(0, age.total_seconds()):.0f} s ago")]


# --- The outside


def address() -> list[Finding]:
    """The base URL is one this instance accepts, and the port is ours or free."""
    findings = []
    url = urlsplit(settings.LLMLAB_BASE_URL)
    hosts = settings.ALLOWED_HOSTS
    if not url.hostname or url.scheme not in {"http", "https"}:
        advice = "Set LLMLAB_BASE_URL to the address people type, e.g. https://llmlab.example.org"
        findings.append(fail("base URL", settings.LLMLAB_BASE_URL, advice))
    elif "*" not in hosts and not any(
        url.hostname == host or (host.startswith(".") and url.hostname.endswith(host))
        for host in hosts
    ):
        advice = f"Add {url.hostname} to LLMLAB_ALLOWED_HOSTS."
        findings.append(fail("base URL", f"{url.hostname} is not an allowed host", advice))
    else:
        findings.append(ok("base URL", settings.LLMLAB_BASE_URL))
    return [*findings, _port()]


def _port() -> Finding:
    port = int(os.environ.get("PORT") or 8000)
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex(("127.0.0.1", port)) != 0:
            return ok("port", f"{port} is free: LLMLab does not run on it now")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
            found = json.load(answer)
    except (OSError, ValueError):
        found = {}
    if found.get("service") == "llmlab":
        return ok("port", f"LLMLab {found.get('version')} answers on {port}")
    return warn(
        "port", f"{port} is taken by another program", f"Choose another: PORT={port + 1} make run"
    )


def email() -> list[Finding]:
    """A mail server is named and answers."""
    if not settings.EMAIL_BACKEND.endswith("smtp.EmailBackend"):
        detail = f"{settings.EMAIL_BACKEND.rsplit('.', 2)[-2]} backend: nothing leaves this machine"
        return [
            warn("e-mail", detail, "Set LLMLAB_EMAIL_HOST (and _PORT, _USER, _PASSWORD, _TLS).")
        ]
    where = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    try:
        socket.create_connection((settings.EMAIL_HOST, settings.EMAIL_PORT), timeout=3).close()
    except OSError as error:
        return [
            warn("e-mail", f"{where}: {error}", "Check LLMLAB_EMAIL_HOST and LLMLAB_EMAIL_PORT.")
        ]
    return [ok("e-mail", where)]


CHECKS: tuple[Callable[[], list[Finding]], ...] = (
    python_version,
    packages,
    data_directory,
    secrets,
    database,
    redis,
    worker,
    scheduler,
    address,
    email,
)


def examine() -> list[Finding]:
    """Run every check, in the order in which things depend on each other."""
    return [finding for check in CHECKS for finding in check()]
