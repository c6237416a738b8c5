"""Registers what the alerts domain does when others act."""

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "alerts"

    def ready(self) -> None:
        from alerts import checking
        from alerts.channels import secrets
        from alerts.measures.bills import ReconciliationMeasure, SyncMeasure
        from alerts.measures.budgets import BudgetMeasure
        from alerts.measures.forecasts import AnomalyMeasure, ForecastMeasure
        from alerts.measures.registry import register
        from core import outbox
        from costs import signals
        from projects import resealing

        resealing.register(secrets.seal_again)
        register(BudgetMeasure())
        register(ForecastMeasure())
        register(AnomalyMeasure())
        register(SyncMeasure())
        register(ReconciliationMeasure())
        signals.usage_recorded.connect(checking.note_usage, dispatch_uid="alerts.usage")
        signals.repricing_ended.connect(checking.note_repricing, dispatch_uid="alerts.repricing")
        signals.anomaly_found.connect(checking.note_anomaly, dispatch_uid="alerts.anomaly")
        outbox.handler(checking.ANOMALY_TOPIC)(checking.handle_anomaly)
