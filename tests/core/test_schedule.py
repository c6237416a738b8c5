"""Every scheduled task exists and can be sent: Celery refuses one whose soft limit is above its hard one."""

import importlib

import pytest
from django.conf import settings


@pytest.mark.filterwarnings("ignore::celery.exceptions.CDeprecationWarning")
@pytest.mark.parametrize("name", sorted(settings.CELERY_BEAT_SCHEDULE))
def test_a_scheduled_task_can_be_sent(name: str) -> None:
    module, _, function = settings.CELERY_BEAT_SCHEDULE[name]["task"].rpartition(".")
    task = getattr(importlib.import_module(module), function)
    hard = getattr(task, "time_limit", None) or settings.CELERY_TASK_TIME_LIMIT
    soft = getattr(task, "soft_time_limit", None) or settings.CELERY_TASK_SOFT_TIME_LIMIT
    assert soft <= hard
