"""Taking a connection away: its secrets at once, its lines in the background, step by step."""

import datetime as dt
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import Max, Min

from accounts.models import User
from accounts.services import record_audit_event
from core import jobs
from core.errors import ConflictError
from core.models import Job
from costs import signals
from costs.billing.access import DELETING
from costs.billing.connections import cancel_open
from costs.models import BilledCost, BilledRevision, BilledUsage, BillingAccount
from projects.connections import seal_credentials
from projects.models import ProviderConnection

KIND = "costs.delete_connection"
BATCH = 20_000
TABLES: tuple[Any, ...] = (BilledRevision, BilledUsage, BilledCost)


@transaction.atomic
def delete_connection(*, connection: ProviderConnection, actor: User, now: dt.datetime) -> Job:
    """Forget the credentials now and start the job that removes what was read. Raises ConflictError while one runs."""
    row = ProviderConnection.objects.select_for_update().get(pk=connection.pk)
    job_id = row.settings.get(DELETING)
    if job_id and Job.objects.filter(pk=job_id, ended_at=None).exists():
        raise ConflictError("This connection is being deleted already.")
    account = BillingAccount.objects.filter(connection=row).first()
    if account is not None:
        cancel_open(account, now=now)
        BillingAccount.objects.filter(pk=account.pk).update(next_sync_at=None, updated_at=now)
    job = jobs.start(
        kind=KIND,
        title=f"Delete the billing connection {row.name}"[:200],
        organization_id=row.organization_id,
        created_by_id=actor.pk,
        total=sum(table.objects.filter(account=account).count() for table in TABLES)
        if account
        else 0,
        params={"connection_id": str(row.pk)},
        now=now,
    )
    row.credentials = seal_credentials(row.organization, row.pk, {})
    row.hint, row.settings = "", {DELETING: str(job.pk)}
    row.status = ProviderConnection.Status.PAUSED
    row.status_message = "Being deleted; its credentials are gone already."
    row.save()
    record_audit_event(
        organization_id=row.organization_id,
        actor=actor,
        action="billing.connection.deleted",
        target=row.name,
        data={"connection_id": str(row.pk), "provider": row.provider, "job_id": str(job.pk)},
    )
    return job


def delete_step(job: Job, *, now: dt.datetime) -> jobs.Step:
    """The next lines, and at the end the connection itself."""
    row = ProviderConnection.objects.filter(
        pk=job.params["connection_id"], organization_id=job.organization_id
    ).first()
    if row is None:
        return jobs.Step(0, None, "The connection is gone.")
    account = BillingAccount.objects.filter(connection=row).first()
    if account is not None:
        bounds = job.cursor or _bounds(account)
        for table in TABLES:
            if gone := _delete_some(table._meta.db_table, account.pk):
                return jobs.Step(gone, bounds, f"{job.done + gone:,} lines are deleted.")
        if first := bounds.get("first"):
            signals.sync_finished.send(
                sender=BillingAccount,
                organization_id=row.organization_id,
                account_id=account.pk,
                first_day=dt.date.fromisoformat(first),
                end_day=dt.date.fromisoformat(bounds["last"]) + dt.timedelta(days=1),
                now=now,
            )
    row.delete()
    return jobs.Step(0, None, f"The connection and {job.done:,} lines are deleted.")


def _bounds(account: BillingAccount) -> dict[str, str]:
    found = BilledCost.objects.filter(account=account).aggregate(first=Min("day"), last=Max("day"))
    return {name: str(day) for name, day in found.items() if day} or {"first": ""}


def _delete_some(table: str, account_id: Any) -> int:
    with database.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE account_id = %s LIMIT %s)",  # noqa: S608
            [account_id, BATCH],
        )
        gone: int = cursor.rowcount
        return gone


def register() -> None:
    """Say how the job advances (from the app's `ready`)."""
    jobs.register(KIND, delete_step)
