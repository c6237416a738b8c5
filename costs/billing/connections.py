"""Billing connections: made after a live check, changed, paused, taken away. What is secret goes in and never out."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from accounts.models import Organization, User
from accounts.services import clean_name, record_audit_event
from core.errors import ConflictError, DomainError
from core.ids import uuid7
from costs.billing import sync
from costs.billing.access import (
    DELETING,
    SEEN,
    CheckFailedError,
    check,
    hint_for,
    plugin_named,
    read_access,
    seen_of,
    stored_access,
)
from costs.billing.twins import refuse_twin, twin_of, words_of
from costs.models import BillingAccount, ProviderSync, SyncSchedule
from costs.providers.base import Checked
from projects.connections import seal_credentials
from projects.models import ProviderConnection

MAX_CONNECTIONS = 100
# Further back no provider answers, and a mistyped year costs thousands of requests.
MAX_HISTORY = dt.timedelta(days=3 * 366)
OPEN_STATES = (
    ProviderSync.State.QUEUED,
    ProviderSync.State.RUNNING,
    ProviderSync.State.WAITING,
)


def _name_taken(organization: Organization, name: str) -> ConflictError:
    return ConflictError(
        f"{organization.name} has a connection named {name!r} already; choose another name.",
        fields=["name"],
    )


def create_connection(
    *,
    organization: Organization,
    provider: str,
    name: str,
    values: Mapping[str, Any],
    actor: User,
    now: dt.datetime,
) -> ProviderConnection:
    """A connection whose credentials the provider has just accepted; it reads nothing until `start_billing`.

    Raises DomainError naming the field, CheckFailedError with the provider's words, ConflictError on a taken name and
    for a bill that another connection reads.
    """
    plugin = plugin_named(provider)
    name = clean_name(name, limit=80)
    access = read_access(plugin, values)
    mine = ProviderConnection.objects.filter(organization=organization)
    if mine.filter(name=name).exists():
        raise _name_taken(organization, name)
    if mine.count() >= MAX_CONNECTIONS:
        raise ConflictError(f"An organisation has at most {MAX_CONNECTIONS} connections.")
    found = check(plugin=plugin, access=access)
    identity = uuid7()
    try:
        with transaction.atomic():
            refuse_twin(organization=organization, plugin=plugin, access=access, found=found)
            connection = ProviderConnection.objects.create(
                id=identity,
                organization=organization,
                provider=provider,
                name=name,
                credentials=seal_credentials(organization, identity, access.credentials),
                hint=hint_for(plugin, access.credentials),
                settings=access.settings | {SEEN: seen_of(found, now)},
                status=ProviderConnection.Status.VERIFIED,
                verified_at=now,
                created_by=actor,
            )
            _audit(connection, actor, "created", provider=provider)
    except IntegrityError:
        raise _name_taken(organization, name) from None
    return connection


def _audit(connection: ProviderConnection, actor: User | None, verb: str, **data: Any) -> None:
    record_audit_event(
        organization_id=connection.organization_id,
        actor=actor,
        action=f"billing.connection.{verb}",
        target=connection.name,
        data={"connection_id": str(connection.pk), **data},
    )


def clean_schedule(schedule: str) -> str:
    """Raises DomainError."""
    if schedule not in SyncSchedule.values:
        raise DomainError(
            f"schedule is {schedule[:40]!r}; it must be one of {', '.join(SyncSchedule.values)}.",
            fields=["schedule"],
        )
    return schedule


def clean_history(day: dt.date, *, now: dt.datetime) -> dt.date:
    """A first day of history that makes sense. Raises DomainError."""
    today = now.date()
    if not today - MAX_HISTORY <= day <= today:
        raise DomainError(
            f"history_from is {day}; it must be a day from {today - MAX_HISTORY} to today, {today}.",
            fields=["history_from"],
        )
    return day


@transaction.atomic
def start_billing(
    *,
    connection: ProviderConnection,
    schedule: str,
    history_from: dt.date,
    actor: User,
    now: dt.datetime,
) -> BillingAccount:
    """Read this connection's bill from now on, its history first. Raises ConflictError when it is read already."""
    row = ProviderConnection.objects.select_for_update().get(pk=connection.pk)
    if DELETING in row.settings or BillingAccount.objects.filter(connection=row).exists():
        raise ConflictError("This connection's bill is being read already, or is being deleted.")
    account = BillingAccount.objects.create(
        connection=connection,
        organization_id=connection.organization_id,
        schedule=clean_schedule(schedule),
        history_from=clean_history(history_from, now=now),
        next_sync_at=None if schedule == SyncSchedule.MANUAL else now,
        time_zone=plugin_named(connection.provider).time_zone(stored_access(connection).settings),
    )
    _audit(connection, actor, "started", schedule=schedule, history_from=str(history_from))
    sync.start_sync(
        account=account,
        kind=ProviderSync.Kind.BACKFILL,
        first_day=history_from,
        now=now,
        actor=actor,
    )
    return account


def change_access(
    *,
    connection: ProviderConnection,
    values: Mapping[str, Any],
    actor: User,
    now: dt.datetime,
) -> ProviderConnection:
    """New settings, new secrets, or both, once the provider has accepted them: how a key is rotated.

    Raises DomainError naming the field, CheckFailedError, ConflictError for a bill that another connection reads; then
    all is as before.
    """
    _refuse_deleting(connection)
    plugin = plugin_named(connection.provider)
    before = stored_access(connection)
    access = read_access(plugin, values, stored=before)
    found = check(plugin=plugin, access=access)
    changed = sorted(
        name
        for now_has, had in (
            (access.settings, before.settings),
            (access.credentials, before.credentials),
        )
        for name in now_has
        if now_has[name] != had.get(name, "")
    )
    with transaction.atomic():
        refuse_twin(
            organization=connection.organization,
            plugin=plugin,
            access=access,
            found=found,
            besides=connection.pk,
        )
        row = ProviderConnection.objects.select_for_update().get(pk=connection.pk)
        _refuse_deleting(row)
        row.credentials = seal_credentials(row.organization, row.pk, access.credentials)
        row.hint = hint_for(plugin, access.credentials)
        row.settings = access.settings | {SEEN: seen_of(found, now)}
        _mark_verified(row, now)
        row.save()
        BillingAccount.objects.filter(connection=row).update(
            time_zone=plugin.time_zone(access.settings), updated_at=now
        )
        _audit(row, actor, "access_changed", changed=changed)
    return row


def _refuse_deleting(connection: ProviderConnection) -> None:
    if DELETING in connection.settings:
        raise ConflictError("This connection is being deleted.")


def _mark_verified(row: ProviderConnection, now: dt.datetime) -> None:
    row.verified_at, row.status_message = now, ""
    if row.status != ProviderConnection.Status.PAUSED:
        row.status = ProviderConnection.Status.VERIFIED
        BillingAccount.objects.filter(connection=row).update(failures_in_a_row=0, updated_at=now)


def check_again(*, connection: ProviderConnection, actor: User, now: dt.datetime) -> Checked:
    """Ask the provider with what is stored, and keep what came of it. Raises CheckFailedError, ConflictError."""
    _refuse_deleting(connection)
    plugin, access = plugin_named(connection.provider), stored_access(connection)
    try:
        found = check(plugin=plugin, access=access)
    except CheckFailedError as error:
        ProviderConnection.objects.filter(pk=connection.pk).exclude(
            status=ProviderConnection.Status.PAUSED
        ).update(
            status=ProviderConnection.Status.ERROR, status_message=error.detail, updated_at=now
        )
        raise
    twin = twin_of(
        organization=connection.organization,
        plugin=plugin,
        access=access,
        found=found,
        besides=connection.pk,
    )
    if twin is not None:  # known only now, or connected before accounts were told apart
        found = replace(found, warnings=(words_of(twin), *found.warnings))
    with transaction.atomic():
        row = ProviderConnection.objects.select_for_update().get(pk=connection.pk)
        row.settings = row.settings | {SEEN: seen_of(found, now)}
        _mark_verified(row, now)
        row.save()
        _audit(row, actor, "checked")
    return found


@transaction.atomic
def change_connection(
    *,
    connection: ProviderConnection,
    actor: User,
    now: dt.datetime,
    name: str | None = None,
    schedule: str | None = None,
    history_from: dt.date | None = None,
) -> ProviderConnection:
    """Another name, schedule or first day. An earlier first day is read by a history run that the caller starts.
    Raises DomainError naming the field, ConflictError on a taken name."""
    row = ProviderConnection.objects.select_for_update().get(pk=connection.pk)
    _refuse_deleting(row)
    changed: dict[str, Any] = {}
    if name is not None and (name := clean_name(name, limit=80)) != row.name:
        twins = ProviderConnection.objects.filter(organization_id=row.organization_id, name=name)
        if twins.exists():
            raise _name_taken(row.organization, name)
        changed["name"], row.name = [row.name, name], name
        row.save(update_fields=["name", "updated_at"])
    account = BillingAccount.objects.select_for_update().filter(connection=row).first()
    if account is None and (schedule is not None or history_from is not None):
        raise ConflictError("Finish the connection's set-up first.")
    if account is not None:
        changed |= _change_account(account, row, schedule, history_from, now)
    if changed:
        _audit(row, actor, "changed", **changed)
    return row


def _change_account(
    account: BillingAccount,
    row: ProviderConnection,
    schedule: str | None,
    history_from: dt.date | None,
    now: dt.datetime,
) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    if schedule is not None and clean_schedule(schedule) != account.schedule:
        changed["schedule"] = [account.schedule, schedule]
        account.schedule = schedule
        runs = schedule != SyncSchedule.MANUAL and row.status != ProviderConnection.Status.PAUSED
        account.next_sync_at = now if runs else None
    if history_from is not None and history_from != account.history_from:
        clean_history(history_from, now=now)
        changed["history_from"] = [str(account.history_from), str(history_from)]
        account.history_from = history_from
    if changed:
        account.save()
    return changed


@transaction.atomic
def pause_connection(*, connection: ProviderConnection, actor: User, now: dt.datetime) -> None:
    """Read nothing until it is resumed; a run under way is cancelled, what it read stays."""
    row = ProviderConnection.objects.select_for_update().get(pk=connection.pk)
    if row.status == ProviderConnection.Status.PAUSED:
        return
    row.status, row.status_message = ProviderConnection.Status.PAUSED, ""
    row.save(update_fields=["status", "status_message", "updated_at"])
    account = BillingAccount.objects.filter(connection=row).first()
    if account is not None:
        BillingAccount.objects.filter(pk=account.pk).update(next_sync_at=None, updated_at=now)
        cancel_open(account, now=now)
    _audit(row, actor, "paused")


def cancel_open(account: BillingAccount, *, now: dt.datetime) -> None:
    """Cancel the account's run under way, if there is one."""
    for run in account.syncs.filter(state__in=OPEN_STATES):
        try:
            sync.cancel_sync(sync=run, now=now)
        except ConflictError:  # it ended meanwhile
            continue


@transaction.atomic
def resume_connection(*, connection: ProviderConnection, actor: User, now: dt.datetime) -> None:
    """Read the bill by its schedule again, beginning now."""
    row = ProviderConnection.objects.select_for_update().get(pk=connection.pk)
    _refuse_deleting(row)
    if row.status != ProviderConnection.Status.PAUSED:
        return
    is_known = row.verified_at is not None
    status = ProviderConnection.Status
    row.status = status.VERIFIED if is_known else status.UNVERIFIED
    row.save(update_fields=["status", "updated_at"])
    BillingAccount.objects.filter(connection=row).exclude(schedule=SyncSchedule.MANUAL).update(
        next_sync_at=now, updated_at=now
    )
    BillingAccount.objects.filter(connection=row).update(failures_in_a_row=0)
    _audit(row, actor, "resumed")


def connection_of(organization_id: UUID, connection_id: UUID) -> ProviderConnection | None:
    """The organisation's connection with its billing account. One query."""
    return (
        ProviderConnection.objects.select_related("organization", "billing", "created_by")
        .filter(organization_id=organization_id, pk=connection_id)
        .first()
    )
