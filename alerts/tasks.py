"""Celery shells of alerts."""

from typing import Any

from celery import shared_task
from django.utils import timezone

from alerts import delivering


@shared_task(name="alerts.tasks.deliver", queue="notify", time_limit=300, soft_time_limit=270)
def deliver(**_: Any) -> int:
    """Send the messages that are due."""
    return delivering.deliver_due(now=timezone.now)


@shared_task(
    name="alerts.tasks.sweep_deliveries", queue="notify", time_limit=300, soft_time_limit=270
)
def sweep_deliveries(**_: Any) -> int:
    """Send what a lost bell or a killed worker left behind, and forget what ended long ago."""
    return delivering.sweep(now=timezone.now)
