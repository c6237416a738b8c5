"""Celery shells of costs: what runs by the clock."""

from typing import Any

from celery import shared_task
from django.utils import timezone

from costs.allocation import statements
from costs.billing import demo_bill, sync
from costs.explorer import keeping, sending
from costs.exporting import schedules
from costs.forecasting import services as forecasting
from costs.reconciliation import receivers as reconciliation


@shared_task(name="costs.tasks.keep_facts", queue="analysis", time_limit=120, soft_time_limit=100)
def keep_facts(**_: Any) -> int:
    """Facts of days that nobody writes to any more."""
    return keeping.sweep()


@shared_task(
    name="costs.tasks.refresh_forecasts", queue="analysis", time_limit=120, soft_time_limit=100
)
def refresh_forecasts(**_: Any) -> int:
    """Queue the forecasts of organisations whose days changed; the work itself is jobs."""
    return forecasting.start_due(now=timezone.now())


@shared_task(name="costs.tasks.sync_bills", queue="sync", time_limit=120, soft_time_limit=100)
def sync_bills(**_: Any) -> int:
    """Start the reading of bills that is due; the steps themselves are outbox work."""
    return sync.run_due(timezone.now())


@shared_task(
    name="costs.tasks.run_export_schedules", queue="analysis", time_limit=120, soft_time_limit=100
)
def run_export_schedules(**_: Any) -> int:
    """Exports that are due now."""
    return schedules.run_due(now=timezone.now())


@shared_task(
    name="costs.tasks.refresh_reconciliations",
    queue="analysis",
    time_limit=300,
    soft_time_limit=270,
)
def refresh_reconciliations(**_: Any) -> int:
    """Work out again what differs between bill and records where either changed; the work itself is jobs."""
    return reconciliation.refresh_stale(now=timezone.now())


@shared_task(name="costs.tasks.bill_demo", queue="analysis", time_limit=120, soft_time_limit=100)
def bill_demo(**_: Any) -> bool:
    """The demo's simulated providers charge for what was recorded since; nothing where no demo runs."""
    return demo_bill.refresh_bill(now=timezone.now())


@shared_task(
    name="costs.tasks.compute_statements", queue="analysis", time_limit=120, soft_time_limit=100
)
def compute_statements(**_: Any) -> int:
    """Have the open months of organisations with teams computed; the work itself is outbox rows."""
    return statements.ask_all(now=timezone.now())


@shared_task(name="costs.tasks.send_reports", queue="analysis", time_limit=120, soft_time_limit=100)
def send_reports(**_: Any) -> int:
    """Queue the reports that are due; each e-mail is outbox work."""
    return sending.run_due(now=timezone.now())
