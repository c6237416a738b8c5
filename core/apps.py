"""The floor every domain stands on."""

from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured


class CoreConfig(AppConfig):
    name = "core"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from core import (
            jobs,  # noqa: F401 - registers the outbox topic of jobs
            outbound,
        )

        try:
            outbound.allowed()
        except ValueError as error:
            raise ImproperlyConfigured(f"LLMLAB_OUTBOUND_ALLOW: {error}") from None
