"""Doctor's checks of PostgreSQL: version, pgvector, migrations, clock and partitions."""

import datetime as dt

import psycopg
from django.utils import timezone

from core import partitions
from core.doctor.findings import Finding, fail, ok, warn
from core.health import missing_migrations, probe_parameters

MINIMUM_POSTGRES = 16
WORST_SKEW = dt.timedelta(seconds=5)


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
