"""Registers what the alerts domain does when others act."""

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "alerts"

    def ready(self) -> None:
        from alerts.channels import secrets
        from projects import resealing

        resealing.register(secrets.seal_again)
