"""The Celery application: queues, limits and schedule live in settings (`CELERY_*`)."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")

app = Celery("llmlab")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
