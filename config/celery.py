"""The Celery application: queues, limits and schedule live in settings (`CELERY_*`)."""

import os

from celery import Celery

from gateway.engine.bootstep import EngineStep

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")

app = Celery("llmlab")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
# Workers of the `llm.*` queues make the gateway's calls in a loop of their own.
app.steps["worker"].add(EngineStep)
