"""Prometheus figures: counters of every process summed, and gauges read from PostgreSQL when asked.

With PROMETHEUS_MULTIPROC_DIR set (the launcher and `make run` do), web processes and workers
share their counters through files there; without it the figures are this process's own.
"""

import hmac
import ipaddress
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from celery.signals import task_postrun
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.backends.postgresql.base import DatabaseWrapper
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from core import partitions, vitals

logger = logging.getLogger(__name__)

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
requests_total = Counter("llmlab_http_requests", "Answered requests", ["method", "status"])
request_seconds = Histogram(
    "llmlab_http_request_seconds",
    "From the complete request to the end of its answer",
    ["method"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
pool_timeouts_total = Counter(
    "llmlab_db_pool_timeouts", "Requests that waited in vain for a database connection"
)
pool_waits_total = Counter(
    "llmlab_db_pool_waits", "Requests that had to wait for a database connection"
)
pool_in_use = Gauge(
    "llmlab_db_pool_in_use",
    "Pooled database connections at work, a second ago at most",
    multiprocess_mode="livesum",
)
tasks_total = Counter("llmlab_tasks", "Finished background tasks", ["task", "state"])


def record_request(method: str, status: int, seconds: float) -> None:
    """Count one request; status 0 is a client that left before an answer."""
    method = method if method in METHODS else "other"
    requests_total.labels(method, str(status)).inc()
    request_seconds.labels(method).observe(seconds)
    note_pool()


_pool_seen = 0.0


def note_pool() -> None:
    """Add what happened in this process's connection pool, once a second at most; without a pool nothing."""
    global _pool_seen
    pools: dict[str, Any] = getattr(DatabaseWrapper, "_connection_pools", {})
    pool = pools.get("default")
    if pool is None or time.monotonic() - _pool_seen < 1:
        return
    _pool_seen = time.monotonic()
    said = pool.pop_stats()  # counters since the last time, gauges as they are
    pool_timeouts_total.inc(said.get("requests_errors", 0))
    pool_waits_total.inc(said.get("requests_queued", 0))
    pool_in_use.set(said.get("pool_size", 0) - said.get("pool_available", 0))


@task_postrun.connect(weak=False)  # type: ignore[untyped-decorator]
def _record_task(sender: Any = None, state: str | None = None, **_: Any) -> None:
    tasks_total.labels(getattr(sender, "name", "unknown"), state or "unknown").inc()


_OUTBOX = """
SELECT count(*) FILTER (WHERE done_at IS NULL AND dead_at IS NULL),
       count(*) FILTER (WHERE dead_at IS NOT NULL),
       coalesce(extract(epoch FROM now() - min(available_at)
                        FILTER (WHERE done_at IS NULL AND dead_at IS NULL)), 0)
FROM core_outboxitem WHERE done_at IS NULL
"""
# Counted by PostgreSQL itself; exact enough for rates, and no table is read. A partition's name ends in its day.
_ROWS = """
SELECT p.relname, coalesce(sum(s.n_tup_ins), 0)
FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
JOIN pg_stat_user_tables s ON s.relid = i.inhrelid
WHERE p.relname = ANY(%s) GROUP BY 1 ORDER BY 1
"""


class DatabaseCollector(Collector):
    """Figures that live in PostgreSQL; without a database only `llmlab_database_up 0`."""

    def collect(self) -> Iterator[Metric]:
        """Five queries, and those of other apps' builders."""
        try:
            found = [*self._read(), *self._more()]
        except DatabaseError:
            yield gauge("llmlab_database_up", "PostgreSQL answers", 0)
            yield from _disks("")
            return
        yield gauge("llmlab_database_up", "PostgreSQL answers", 1)
        yield from found

    def _read(self) -> Iterator[Metric]:
        with connection.cursor() as cursor:
            cursor.execute(_OUTBOX)
            open_items, dead, oldest = cursor.fetchone() or (0, 0, 0)
            cursor.execute(_ROWS, [list(partitions.registered_tables())])
            inserted = cursor.fetchall()
        yield gauge("llmlab_outbox_open", "Follow-up work to do", open_items)
        yield gauge("llmlab_outbox_dead", "Work given up after retries", dead)
        age = max(0.0, float(oldest))
        yield gauge("llmlab_outbox_oldest_seconds", "Age of the oldest open work", age)
        rows = CounterMetricFamily(
            "llmlab_rows_inserted", "Rows written per table", labels=["table"]
        )
        for table, count in inserted:
            rows.add_metric([table], float(count))
        yield rows
        ahead = partitions.days_ahead(timezone.now().date())
        yield gauges("llmlab_partitions_ahead", "Day partitions after today", "table", ahead)
        found = vitals.database_connections()
        yield gauge("llmlab_database_connections", "Connections of all programs", found.used)
        yield gauge("llmlab_database_connections_max", "Connections there may be", found.most)
        yield from _disks(found.data_directory)
        if seen := vitals.beat_seen_at():
            silence = max(0.0, (timezone.now() - seen).total_seconds())
            yield gauge("llmlab_beat_age_seconds", "Since the scheduler sent something", silence)

    def _more(self) -> Iterator[Metric]:
        """Other apps' figures; one that fails is left out."""
        for build in _builders:
            try:
                with transaction.atomic():
                    found = list(build())
            except DatabaseError as error:
                logger.warning("core.metrics.failed: %s", type(error).__name__)
                continue
            yield from found


Build = Callable[[], Iterable[Metric]]
_builders: list[Build] = []


def register(build: Build) -> None:
    """Add an app's own figures, read from PostgreSQL when `/metrics` is asked (call it from the app's `ready`)."""
    if build not in _builders:
        _builders.append(build)


def gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=float(value))


def gauges(name: str, words: str, label: str, values: Mapping[str, float]) -> Metric:
    """One gauge per value of a label."""
    family = GaugeMetricFamily(name, words, labels=[label])
    for one, value in values.items():
        family.add_metric([one], float(value))
    return family


def _disks(database_directory: str) -> Iterator[Metric]:
    found = vitals.disks(database_directory)
    free, size = {one.place: one.free for one in found}, {one.place: one.size for one in found}
    yield gauges("llmlab_disk_free_bytes", "Room left on the disk of", "place", free)
    yield gauges("llmlab_disk_size_bytes", "Room there is on the disk of", "place", size)


class BrokerCollector(Collector):
    """Figures that live in Redis; without it only `llmlab_redis_up 0`."""

    def collect(self) -> Iterator[Metric]:
        """One round trip."""
        found = vitals.broker(timezone.now())
        yield gauge("llmlab_redis_up", "Redis answers", found.is_up)
        if not found.is_up:
            return
        yield gauges("llmlab_queue_depth", "Messages waiting", "queue", found.waiting)
        serving = {name: found.workers_of(name) for name in found.waiting}
        yield gauges("llmlab_workers", "Living workers that serve", "queue", serving)
        unserved = len(found.unserved)
        yield gauge("llmlab_queues_unserved", "Queues that no living worker serves", unserved)


def may_read(request: HttpRequest) -> bool:
    """The bearer token when one is set; otherwise a direct connection from this machine."""
    token = settings.LLMLAB_METRICS_TOKEN
    if token:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode(), token.encode())
    # Behind a proxy on this machine everybody would look local.
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """`/metrics` in Prometheus's text format."""
    if not may_read(request):
        detail = "Metrics are for this machine, or for the bearer token in LLMLAB_METRICS_TOKEN."
        return JsonResponse({"detail": detail, "code": "forbidden", "fields": []}, status=403)
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        body = generate_latest(registry)
    else:
        body = generate_latest(REGISTRY)
    own = CollectorRegistry()
    own.register(BrokerCollector())
    own.register(DatabaseCollector())
    return HttpResponse(body + generate_latest(own), content_type=CONTENT_TYPE_LATEST)
