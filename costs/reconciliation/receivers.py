"""Starts reconciliation when a bill came in or records were priced again."""

import datetime as dt
from typing import Any
from uuid import UUID

from core import jobs
from costs import signals
from costs.models import BillingAccount
from costs.reconciliation import job
from projects.models import Project


def register() -> None:
    """From the app's `ready`."""
    jobs.register(job.KIND, job.reconcile_step, ended=job.record_end)
    signals.sync_finished.connect(on_sync, dispatch_uid="costs.reconciliation.sync")
    signals.repricing_ended.connect(on_repricing, dispatch_uid="costs.reconciliation.repricing")


def on_sync(*, organization_id: UUID, now: dt.datetime, **_: Any) -> None:
    """A bill was read."""
    job.want_reconciliation(organization_id=organization_id, now=now)


def on_repricing(*, project_ids: list[UUID], now: dt.datetime, **_: Any) -> None:
    """Prices changed, and with them what was recorded; of no interest without a bill."""
    organizations = set(
        Project.objects.filter(pk__in=project_ids).values_list("organization_id", flat=True)
    )
    billed = BillingAccount.objects.filter(organization_id__in=organizations)
    for organization_id in sorted(set(billed.values_list("organization_id", flat=True)), key=str):
        job.want_reconciliation(organization_id=organization_id, now=now)


def refresh_stale(*, now: dt.datetime) -> int:
    """Start the job of every organisation whose ledgers changed; recording itself tells nobody, so that it stays fast.
    Returns how many."""
    found = BillingAccount.objects.filter(synced_through__isnull=False)
    started = 0
    for organization_id in sorted(set(found.values_list("organization_id", flat=True)), key=str):
        if job.is_stale(organization_id, now=now):
            started += job.want_reconciliation(organization_id=organization_id, now=now) is not None
    return started
