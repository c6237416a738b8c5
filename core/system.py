"""What the operators' system page shows: one section per moving part, each reporting its own failure.

Core names no domain: apps add their own sections with `register` (from their admin module).
"""

import datetime as dt
import logging
import platform
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import django
from celery import current_app
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError

from core import formats, outbox, partitions
from core.doctor.processes import QUEUES
from core.vitals import PRIORITY_SUFFIXES

logger = logging.getLogger(__name__)

REDIS_SECONDS = 1.0
WORKER_SECONDS = 1.0
MAX_TABLES = 20
Row = Sequence[str]


@dataclass(frozen=True)
class Section:
    """A small table. `error` says what did not answer and what that means; `warning` what to look at."""

    title: str
    heads: Row = ()
    rows: Sequence[Row] = field(default_factory=tuple)
    warning: str = ""
    error: str = ""


Build = Callable[[dt.datetime], Section]
_more: list[tuple[str, Build]] = []


def register(title: str, build: Build) -> None:
    """Add an app's own section."""
    _more.append((title, build))


def sections(*, now: dt.datetime) -> list[Section]:
    """Every section; one that fails says so and leaves the others standing."""
    own: list[tuple[str, Build]] = [
        ("Queues", queues),
        ("Workers", workers),
        ("Outbox", outbox_depth),
        *_more,
        ("Partitions", partition_days),
        ("Database", table_sizes),
        ("Versions", versions),
    ]
    return [_guarded(title, build, now) for title, build in own]


def _guarded(title: str, build: Build, now: dt.datetime) -> Section:
    try:
        with transaction.atomic():
            return build(now)
    except DatabaseError as error:
        logger.warning("core.system.section_failed: %s %s", title, type(error).__name__)
        return Section(
            title,
            error=f"PostgreSQL did not answer this ({type(error).__name__}). Reload to try again.",
        )
    except (RedisError, OperationalError, OSError) as error:
        logger.warning("core.system.section_failed: %s %s", title, type(error).__name__)
        return Section(
            title,
            error=f"Redis does not answer ({type(error).__name__}). Nothing is lost: work waits in the outbox and is"
            " swept up when Redis is back.",
        )


def _redis() -> Redis:
    return Redis.from_url(
        settings.REDIS_URL, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS
    )


def queues(now: dt.datetime) -> Section:
    """Messages waiting per Celery queue."""
    with closing(_redis()) as client, client.pipeline(transaction=False) as pipe:
        for name in QUEUES:
            for suffix in PRIORITY_SUFFIXES:
                pipe.llen(name + suffix)
        lengths = pipe.execute()
    size = len(PRIORITY_SUFFIXES)
    waiting = [sum(lengths[place * size : (place + 1) * size]) for place in range(len(QUEUES))]
    rows = [(name, formats.count(length)) for name, length in zip(QUEUES, waiting, strict=True)]
    return Section("Queues", ("Queue", "Waiting"), rows)


def workers(now: dt.datetime) -> Section:
    """Celery workers that answer within a second, and the queues they serve."""
    with current_app.connection_for_write() as link:
        link.ensure_connection(
            max_retries=1, interval_start=0, interval_step=0, timeout=REDIS_SECONDS
        )
        inspect = current_app.control.inspect(timeout=WORKER_SECONDS, connection=link)
        answers = inspect.active_queues() or {}
    rows = [
        (name, ", ".join(sorted(queue["name"] for queue in served)))
        for name, served in sorted(answers.items())
    ]
    served = {queue["name"] for found in answers.values() for queue in found}
    missing = [name for name in QUEUES if name not in served]
    warning = ""
    if not rows:
        warning = "No worker answered within a second: start one (Procfile, worker) or wait if all are busy starting."
    elif missing:
        warning = f"No worker serves {', '.join(missing)}."
    return Section("Workers", ("Worker", "Queues"), rows, warning)


def outbox_depth(now: dt.datetime) -> Section:
    """Work decided and not done yet."""
    depth = outbox.depth()
    oldest = formats.relative_time(depth["oldest"], now) if depth["oldest"] else formats.DASH
    rows = [
        ("Open", formats.count(depth["open"])),
        ("Oldest open, due", oldest),
        ("Given up", formats.count(depth["dead"])),
    ]
    warning = ""
    if depth["dead"]:
        warning = "Given-up work waits for you: Core › Outbox items › state Given up, then Replay."
    elif depth["oldest"] and now - depth["oldest"] > dt.timedelta(minutes=5):
        warning = (
            "Work has been due for more than five minutes: is a worker serving the queue ingest?"
        )
    return Section("Outbox", ("", ""), rows, warning)


_PARTITIONS = """
SELECT p.relname, count(*), min(right(c.relname, 8)), max(right(c.relname, 8)), sum(greatest(c.reltuples, 0))
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
WHERE p.relname = ANY(%s) AND c.relkind = 'r'
GROUP BY 1 ORDER BY 1
"""


def partition_days(now: dt.datetime) -> Section:
    """Day partitions per table; rows are the planner's estimate."""
    with connection.cursor() as cursor:
        cursor.execute(_PARTITIONS, [list(partitions.registered_tables())])
        found = cursor.fetchall()
    rows = [
        (table, formats.count(number), _day(first), _day(last), formats.count(int(estimate)))
        for table, number, first, last, estimate in found
    ]
    tomorrow = f"{now + dt.timedelta(days=1):%Y%m%d}"
    late = [table for table, _, _, last, _ in found if last < tomorrow]
    late += sorted(set(partitions.registered_tables()) - {row[0] for row in found})
    warning = (
        f"No partition for tomorrow: {', '.join(late)}. Is celery beat running?" if late else ""
    )
    return Section("Partitions", ("Table", "Days", "First", "Last", "Rows, about"), rows, warning)


def _day(digits: str) -> str:
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"


_SIZES = """
SELECT coalesce(p.relname, c.relname), sum(pg_total_relation_size(c.oid)), sum(greatest(c.reltuples, 0))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent
WHERE c.relkind = 'r' AND n.nspname = current_schema()
GROUP BY 1 ORDER BY 2 DESC LIMIT %s
"""


def table_sizes(now: dt.datetime) -> Section:
    """The largest tables with their indexes, partitions together, and the whole database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        whole = cursor.fetchone()[0]
        cursor.execute(_SIZES, [MAX_TABLES])
        found = cursor.fetchall()
    rows = [("Whole database", formats.byte_size(whole), "")]
    rows += [
        (name, formats.byte_size(int(size)), formats.count(int(count)))
        for name, size, count in found
    ]
    return Section("Database", ("Table", "Size", "Rows, about"), rows)


def versions(now: dt.datetime) -> Section:
    """What runs here."""
    rows = [
        ("LLMLab", settings.LLMLAB_VERSION),
        ("Python", platform.python_version()),
        ("Django", django.get_version()),
        ("Celery", version("celery")),
        ("Price catalogue (genai-prices)", version("genai-prices")),
    ]
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        rows.append(("PostgreSQL", cursor.fetchone()[0]))
    try:
        with closing(_redis()) as client:
            info: Any = client.info("server")  # the stubs also allow an awaitable
        rows.append(("Redis", str(info["redis_version"])))
    except (RedisError, OSError) as error:
        rows.append(("Redis", f"does not answer ({type(error).__name__})"))
    return Section("Versions", ("", ""), rows)
