"""Celery shells of costs."""

from typing import Any

from celery import shared_task

from costs.explorer import keeping


@shared_task(name="costs.tasks.keep_facts", queue="analysis", time_limit=120, soft_time_limit=100)
def keep_facts(**_: Any) -> int:
    """Facts of days that nobody writes to any more."""
    return keeping.sweep()
