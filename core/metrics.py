"""Prometheus figures: counters of every process summed, and gauges read from PostgreSQL when asked.

With PROMETHEUS_MULTIPROC_DIR set (the launcher and `make run` do), web processes and workers
share their counters through files there; without it the figures are this process's own.
"""

import hmac
import ipaddress
import os
from collections.abc import Iterator
from typing import Any

from celery.signals import task_postrun
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from core import partitions

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
requests_total = Counter("llmlab_http_requests", "Answered requests", ["method", "status"])
request_seconds = Histogram(
    "llmlab_http_request_seconds",
    "From the complete request to the end of its answer",
    ["method"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
tasks_total = Counter("llmlab_tasks", "Finished background tasks", ["task", "state"])


def record_request(method: str, status: int, seconds: float) -> None:
    """Count one request; status 0 is a client that left before an answer."""
    method = method if method in METHODS else "other"
    requests_total.labels(method, str(status)).inc()
    request_seconds.labels(method).observe(seconds)


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
        """Three queries and one per partitioned table."""
        try:
            found = list(self._read())
        except DatabaseError:
            yield GaugeMetricFamily("llmlab_database_up", "PostgreSQL answers", value=0)
            return
        yield GaugeMetricFamily("llmlab_database_up", "PostgreSQL answers", value=1)
        yield from found

    def _read(self) -> Iterator[Metric]:
        with connection.cursor() as cursor:
            cursor.execute(_OUTBOX)
            open_items, dead, oldest = cursor.fetchone() or (0, 0, 0)
            cursor.execute(_ROWS, [list(partitions.registered_tables())])
            inserted = cursor.fetchall()
        yield GaugeMetricFamily("llmlab_outbox_open", "Follow-up work to do", value=open_items)
        yield GaugeMetricFamily("llmlab_outbox_dead", "Work given up after retries", value=dead)
        age = max(0.0, float(oldest))
        yield GaugeMetricFamily(
            "llmlab_outbox_oldest_seconds", "Age of the oldest open work", value=age
        )
        rows = CounterMetricFamily(
            "llmlab_rows_inserted", "Rows written per table", labels=["table"]
        )
        for table, count in inserted:
            rows.add_metric([table], float(count))
        yield rows
        ahead = GaugeMetricFamily(
            "llmlab_partitions_ahead", "Day partitions after today", labels=["table"]
        )
        today = timezone.now().date()
        for table in partitions.registered_tables():
            ahead.add_metric([table], sum(day > today for day in partitions.existing_days(table)))
        yield ahead


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
    collector = DatabaseCollector()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        body = generate_latest(registry)
    else:
        body = generate_latest(REGISTRY)
    own = CollectorRegistry()
    own.register(collector)
    return HttpResponse(body + generate_latest(own), content_type=CONTENT_TYPE_LATEST)
