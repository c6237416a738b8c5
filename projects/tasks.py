"""Celery shells of projects."""

from typing import Any

from celery import shared_task
from django.utils import timezone

from projects.exports.job import expire_exports


@shared_task(name="projects.tasks.expire_exports", queue="analysis", time_limit=300)
def remove_old_exports(**_: Any) -> int:
    """Files of exports older than a week."""
    return expire_exports(now=timezone.now())
