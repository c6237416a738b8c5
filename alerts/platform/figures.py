"""The alerts domain's part of `/metrics`: messages on their way, bills that could not be read, and the watch itself."""

from collections.abc import Iterator

from django.db.models import Count, Max, Q
from django.utils import timezone
from prometheus_client.metrics_core import Metric

from alerts.models import EventState, OperatorIncident, WatchState
from alerts.platform.look import Look
from core.metrics import gauge


def figures() -> Iterator[Metric]:
    """Five queries."""
    now = timezone.now()
    look = Look(now)
    found = look.deliveries
    yield gauge("llmlab_deliveries_waiting", "Messages of alerts on their way", found.waiting)
    yield gauge(
        "llmlab_deliveries_oldest_seconds",
        "How long the oldest message that could be sent has waited",
        found.oldest_s,
    )
    yield gauge("llmlab_deliveries_dead", "Messages given up in the last 24 hours", found.dead)
    yield gauge(
        "llmlab_syncs_failed", "Provider accounts whose last reading failed", look.syncs_failed
    )
    words = "How long the oldest call waits to be summed up for rules about windows"
    yield gauge("llmlab_minutes_oldest_seconds", words, look.minutes[1])
    seen = WatchState.objects.aggregate(at=Max("evaluated_at"))["at"]
    if seen:
        age = max(0.0, (now - seen).total_seconds())
        yield gauge("llmlab_watch_age_seconds", "Since LLMLab last looked at itself", age)
    firing = OperatorIncident.objects.aggregate(
        open=Count("pk", filter=~Q(state=EventState.RESOLVED))
    )
    yield gauge("llmlab_platform_incidents", "Open incidents of this installation", firing["open"])
