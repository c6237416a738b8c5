"""Runs that a person starts, ends and takes up again; the engine is costs.billing.sync."""

import datetime as dt

from django.db import transaction

from accounts.models import User
from accounts.services import record_audit_event
from core.errors import ConflictError, DomainError
from costs.billing import sync
from costs.billing.access import DELETING
from costs.billing.connections import MAX_HISTORY
from costs.billing.coverage import today_of
from costs.models import BillingAccount, ProviderSync
from projects.models import ProviderConnection

DAY = dt.timedelta(days=1)


def _check_ready(account: BillingAccount) -> None:
    connection = account.connection
    if DELETING in connection.settings:
        raise ConflictError("This connection is being deleted.")
    if connection.status == ProviderConnection.Status.PAUSED:
        raise ConflictError("This connection is paused; resume it first.")


@transaction.atomic
def start(
    *,
    account: BillingAccount,
    kind: str,
    actor: User,
    now: dt.datetime,
    first_day: dt.date | None = None,
    last_day: dt.date | None = None,
) -> ProviderSync:
    """A run now: `now` reads what is new and may have changed, `history` these days, the last one included.

    Raises DomainError naming the day, ConflictError when one is open or the connection is paused.
    """
    _check_ready(account)
    if kind == "now":
        run = sync.start_sync(account=account, kind=ProviderSync.Kind.MANUAL, now=now, actor=actor)
    else:
        first, last = _days(account, first_day, last_day, now)
        run = sync.start_sync(
            account=account,
            kind=ProviderSync.Kind.BACKFILL,
            now=now,
            first_day=first,
            end_day=last + DAY,
            actor=actor,
        )
        if account.history_from is None or first < account.history_from:
            BillingAccount.objects.filter(pk=account.pk).update(history_from=first, updated_at=now)
    _audit(run, account, actor, "started")
    return run


def _days(
    account: BillingAccount, first: dt.date | None, last: dt.date | None, now: dt.datetime
) -> tuple[dt.date, dt.date]:
    today = today_of(account, now)
    if first is None:
        raise DomainError(
            "first_day is required: the first day to read, such as 2026-11-01.",
            fields=["first_day"],
        )
    last = last or today
    if not today - MAX_HISTORY <= first <= today:
        raise DomainError(
            f"first_day is {first}; it must be a day from {today - MAX_HISTORY} to today, {today}.",
            fields=["first_day"],
        )
    if not first <= last <= today:
        raise DomainError(
            f"last_day is {last}; it must be a day from first_day, {first}, to today, {today}.",
            fields=["last_day"],
        )
    return first, last


def _audit(run: ProviderSync, account: BillingAccount, actor: User, verb: str) -> None:
    record_audit_event(
        organization_id=run.organization_id,
        actor=actor,
        action=f"billing.sync.{verb}",
        target=str(account.connection),
        data={
            "sync_id": str(run.pk),
            "kind": run.kind,
            "first_day": str(run.first_day),
            "end_day": str(run.end_day),
        },
    )


@transaction.atomic
def cancel(*, run: ProviderSync, actor: User, now: dt.datetime) -> None:
    """End the run before its next step. Raises ConflictError when it has ended."""
    sync.cancel_sync(sync=run, now=now)
    _audit(run, run.account, actor, "cancelled")


@transaction.atomic
def resume(*, run: ProviderSync, actor: User, now: dt.datetime) -> ProviderSync:
    """Go on where a cancelled or given-up run stood. Raises ConflictError when it did not end so, another one is open,
    or the connection is paused."""
    _check_ready(run.account)
    again = sync.resume_sync(sync=run, now=now, actor=actor)
    _audit(run, run.account, actor, "resumed")
    return again
