"""Registers what the alerts domain does when others act."""

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "alerts"

    def ready(self) -> None:
        from alerts.channels import secrets
        from alerts.measures import intake, quality, registry, windows
        from projects import resealing

        resealing.register(secrets.seal_again)
        for measure in (*windows.MEASURES, quality.QUALITY, intake.INGEST_LAG, intake.NO_DATA):
            registry.register(measure)
