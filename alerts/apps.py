"""Registers what the alerts domain does when others act."""

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "alerts"

    def ready(self) -> None:
        from alerts import checking, demo, forgetting, signals
        from alerts.channels import secrets
        from alerts.inbox import hints
        from alerts.measures import (
            bills,
            budgets,
            cache_checks,
            calls,
            circuits,
            forecasts,
            intake,
            quality,
            registry,
            windows,
        )  # fmt: skip
        from alerts.platform import figures
        from core import crypto, metrics, outbox
        from costs import signals as ledger
        from projects import resealing
        from traces import signals as tracing

        metrics.register(figures.figures)
        resealing.register(secrets.seal_again)
        crypto.on_rewrap(secrets.seal_operators_again)
        for known in (*budgets.MEASURES, *forecasts.MEASURES, *bills.MEASURES):
            registry.register(known)
        for measure in (*windows.MEASURES, quality.QUALITY, intake.INGEST_LAG, intake.NO_DATA):
            registry.register(measure)
        for watched in (*calls.MEASURES, circuits.CIRCUIT_OPEN, cache_checks.CACHE_WRONG):
            registry.register(watched)
        ledger.usage_recorded.connect(checking.note_usage, dispatch_uid="alerts.usage")
        ledger.repricing_ended.connect(checking.note_repricing, dispatch_uid="alerts.repricing")
        ledger.anomaly_found.connect(checking.note_anomaly, dispatch_uid="alerts.anomaly")
        outbox.handler(checking.ANOMALY_TOPIC)(checking.handle_anomaly)
        signals.events_changed.connect(hints.tell_pages, dispatch_uid="alerts.inbox.bell")
        tracing.user_erased.connect(forgetting.forget_user, dispatch_uid="alerts.forget")
        tracing.demo_seeded.connect(demo.follow, dispatch_uid="alerts.demo")
