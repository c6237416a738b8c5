"""Celery shells of projects."""

from typing import Any

from celery import shared_task
from django.utils import timezone

from projects.exports import job


@shared_task(name="projects.tasks.expire_exports", queue="analysis", time_limit=300)
def expire_exports(**_: Any) -> int:
    """Files of exports older than a week."""
    return job.expire_exports(now=timezone.now())
