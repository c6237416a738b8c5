"""Reading a provider's bill: started by hand or by the clock, one chunk of days per step, resumable after a kill.

Each step asks the provider for some days (bounded in time), then replaces exactly these days, moves the sync on and
counts, in the job step's transaction: a killed worker repeats a step and finds the same. One sync per account is open
at a time; the database says so.
"""

import datetime as dt
import logging
from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q

from accounts.models import User
from core import jobs
from core.errors import ConflictError, DomainError
from core.http import OutboundClient
from core.models import Job
from costs.billing import plan, step
from costs.billing.redaction import clean_words
from costs.models import BillingAccount, ProviderSync, SyncSchedule
from costs.providers.base import Checked, Permanent, Retryable
from costs.providers.registry import plugin_for
from projects.models import ProviderConnection

logger = logging.getLogger(__name__)

OPEN = (ProviderSync.State.QUEUED, ProviderSync.State.RUNNING, ProviderSync.State.WAITING)
CHECK_SECONDS = 15.0
MOST_DAYS = 366 * 5
DUE_AT_ONCE = 200
# costs.billing.access marks so what is being deleted (it imports this module).
DELETING = "_deleting"


def check_connection(
    *, provider: str, credentials: Mapping[str, str], settings: Mapping[str, Any]
) -> Checked:
    """Ask the provider, now, whether these credentials may read its bill. Raises Retryable and Permanent in its words
    without secrets, LookupError for a provider without a plugin."""
    plugin = plugin_for(provider)
    try:
        with OutboundClient(total_s=10.0, budget_s=CHECK_SECONDS) as client:
            return plugin.check(client, dict(credentials), dict(settings))
    except Retryable as error:
        raise Retryable(clean_words(error.message, credentials), error.retry_after_s) from None
    except Permanent as error:
        raise Permanent(clean_words(error.message, credentials), error.code) from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        logger.exception("costs.check.unreadable")
        raise Permanent(
            f"What answers there is not {plugin.label}'s billing API ({type(error).__name__}). Check the address.",
            "unreadable",
        ) from None


@transaction.atomic
def start_sync(
    *,
    account: BillingAccount,
    kind: str,
    now: dt.datetime,
    first_day: dt.date | None = None,
    end_day: dt.date | None = None,
    actor: User | None = None,
) -> ProviderSync:
    """Read the billing days [first_day, end_day), by default what is new and what may have changed.

    Raises ConflictError when a sync of the account is open, DomainError for impossible days.
    """
    connection = account.connection
    plugin = plugin_for(connection.provider)
    _know_zone(account, plugin.time_zone(connection.settings))
    if kind == ProviderSync.Kind.BACKFILL:
        first_day = first_day or account.history_from
    planned = plan.days_to_read(account=account, plugin=plugin, now=now)
    first_day, end_day = first_day or planned[0], min(end_day or planned[1], planned[1])
    if not 0 < (end_day - first_day).days <= MOST_DAYS:
        raise DomainError(
            f"The days from {first_day} to {end_day} cannot be read: choose 1 to {MOST_DAYS} days up to today.",
            fields=["first_day", "end_day"],
        )
    sync = ProviderSync(
        account=account,
        organization_id=account.organization_id,
        kind=kind,
        first_day=first_day,
        end_day=end_day,
        next_day=first_day,
    )
    _open(sync, account, now=now, actor=actor)
    return sync


def _know_zone(account: BillingAccount, zone: str) -> None:
    if account.time_zone != zone:
        account.time_zone = zone
        BillingAccount.objects.filter(pk=account.pk).update(time_zone=zone)


def _open(
    sync: ProviderSync, account: BillingAccount, *, now: dt.datetime, actor: User | None
) -> None:
    """Make the sync the account's open one, with a job that advances it. Raises ConflictError."""
    sync.state, sync.attempts, sync.error, sync.ended_at = ProviderSync.State.QUEUED, 0, "", None
    try:
        with transaction.atomic():
            sync.save()
    except IntegrityError:
        raise ConflictError(
            "This account's bill is being read already; wait until that ends, or cancel it."
        ) from None
    days = (sync.end_day - sync.next_day).days
    job = jobs.start(
        kind=step.KIND,
        title=f"Bill of {account.connection.name}, {sync.first_day} to {sync.end_day - plan.DAY}"[
            :200
        ],
        organization_id=account.organization_id,
        created_by_id=actor.pk if actor else None,
        total=days,
        params={"sync_id": str(sync.pk)},
        now=now,
    )
    sync.job_id = job.pk
    sync.save(update_fields=["job_id", "updated_at"])


@transaction.atomic
def cancel_sync(*, sync: ProviderSync, now: dt.datetime) -> None:
    """End it before its next step; the days it has read stay. Raises ConflictError when it has ended."""
    if sync.state not in OPEN or sync.job_id is None:
        raise ConflictError("This sync has ended already; there is nothing left to cancel.")
    jobs.request_cancel(sync.job_id, now=now)


@transaction.atomic
def resume_sync(*, sync: ProviderSync, now: dt.datetime, actor: User | None = None) -> ProviderSync:
    """Go on at the day where a cancelled or given-up sync stood. Raises ConflictError."""
    locked = ProviderSync.objects.select_for_update().get(pk=sync.pk)
    if locked.state not in (ProviderSync.State.CANCELLED, ProviderSync.State.FAILED):
        raise ConflictError("Only a cancelled or failed sync can go on.")
    account = BillingAccount.objects.select_related("connection").get(pk=locked.account_id)
    _open(locked, account, now=now, actor=actor)
    return locked


def run_due(now: dt.datetime) -> int:
    """Start what the schedules want now; returns how many syncs that were. One account's trouble stops no other."""
    due = (
        BillingAccount.objects.filter(Q(next_sync_at=None) | Q(next_sync_at__lte=now))
        .exclude(schedule=SyncSchedule.MANUAL)
        .exclude(connection__status=ProviderConnection.Status.PAUSED)
        .exclude(connection__settings__has_key=DELETING)
        .exclude(syncs__state__in=OPEN)
        .select_related("connection")
        .order_by("next_sync_at")[:DUE_AT_ONCE]
    )
    started = 0
    for account in due:
        try:
            _start_due(account, now)
        except (ConflictError, LookupError):
            continue
        started += 1
    return started


def _start_due(account: BillingAccount, now: dt.datetime) -> ProviderSync:
    """A history that was given up goes on where it stood; everything else is read anew from where the bill is known."""
    last = ProviderSync.objects.filter(account=account).order_by("-created_at").first()
    if (
        last is not None
        and last.state == ProviderSync.State.FAILED
        and last.kind == ProviderSync.Kind.BACKFILL
        and last.next_day < last.end_day
    ):
        return resume_sync(sync=last, now=now)
    return start_sync(account=account, kind=ProviderSync.Kind.SCHEDULED, now=now)


def job_of(sync: ProviderSync) -> Job | None:
    """The job that advances it (progress, message)."""
    return Job.objects.filter(pk=sync.job_id).first() if sync.job_id else None
