"""Registers what the alerts domain does when others act."""

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "alerts"

    def ready(self) -> None:
        from alerts import signals
        from alerts.channels import secrets
        from alerts.inbox import hints
        from projects import resealing

        resealing.register(secrets.seal_again)
        signals.events_changed.connect(hints.tell_pages, dispatch_uid="alerts.inbox.bell")
