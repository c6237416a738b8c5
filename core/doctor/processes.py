"""Doctor's checks of what runs beside PostgreSQL: Redis, the workers and the scheduler."""

import datetime as dt

import psycopg
from django.conf import settings
from django.utils import timezone
from redis import Redis, RedisError

from core.doctor.findings import Finding, fail, ok, warn
from core.health import probe_parameters

MINIMUM_REDIS = (6, 2)
BEAT_SILENCE = dt.timedelta(minutes=2)
QUEUES = ("ingest", "llm.high", "llm.normal", "llm.low", "sync", "analysis", "notify")


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
