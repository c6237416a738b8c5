"""Connections: made, changed, switched, deleted. Their keys: gateway.connections.holding."""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from accounts.models import Organization, User
from accounts.services import clean_name
from core.errors import ConflictError, DomainError
from gateway.connections import values
from gateway.connections.holding import revoke_all, store_key
from gateway.connections.providers import PROVIDERS, address_of
from gateway.connections.rows import audit, locked
from gateway.models import Batch, Connection, KeyState
from gateway.snapshot import touch
from projects.models import Project
from projects.selectors import chosen_project

MAX_CONNECTIONS = 100
# Of batches that stand in the way of deleting one.
NAMED = 5


def create_connection(
    *,
    organization: Organization,
    kind: str,
    name: str,
    actor: User,
    now: dt.datetime,
    base_url: str = "",
    settings: Mapping[str, Any] | None = None,
    model_names: Iterable[str] = (),
    project_id: UUID | None = None,
    secret: str = "",
    weight: int = 1,
) -> Connection:
    """A connection whose address may be called, with its first key. Nothing is sent.

    Raises DomainError naming the field, ConflictError on a taken name.
    """
    provider = values.provider_for(kind)
    name = clean_name(name, limit=80)
    if provider.needs_key and not secret.strip():
        raise DomainError(f"{provider.key_label} is needed.", fields=["secret"])
    row = Connection(
        organization=organization,
        project=chosen_project(organization.pk, project_id),
        kind=provider.kind,
        name=name,
        base_url=values.clean_address(provider, base_url),
        settings=values.clean_settings(provider, settings or {}),
        model_names=values.clean_models(model_names),
        created_by=actor,
    )
    mine = Connection.objects.filter(organization=organization)
    if mine.count() >= MAX_CONNECTIONS:
        raise ConflictError(f"There are at most {MAX_CONNECTIONS} connections; delete one first.")
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            if secret.strip():
                store_key(connection=row, secret=secret, weight=weight, actor=actor)
            audit(row, actor, "created", kind=provider.kind, address=address_of(row))
            touch(organization.pk)
    except IntegrityError:
        raise _name_taken(name) from None
    return row


def change_connection(
    *,
    connection: Connection,
    actor: User,
    now: dt.datetime,
    name: str | None = None,
    base_url: str | None = None,
    settings: Mapping[str, Any] | None = None,
    model_names: Iterable[str] | None = None,
    project_id: UUID | str | None = "",
    secret: str = "",
) -> Connection:
    """What is given is set; `project_id` None frees it for all projects, left out it stays. At another host no stored
    key is used: `secret` is the first one there, the others are revoked. Given without a new host it is refused: keys
    are added and rotated by themselves.

    Raises DomainError naming the field, ConflictError on a taken name.
    """
    try:
        with transaction.atomic():
            row = locked(connection)
            wanted = _wanted(row, name, base_url, settings, model_names, project_id)
            before = {field: getattr(row, field) for field in wanted}
            changed = {field: value for field, value in wanted.items() if value != before[field]}
            moved_from = values.origin_of(address_of(row))
            for field, value in changed.items():
                setattr(row, field, value)
            is_moved = values.origin_of(address_of(row)) != moved_from
            if is_moved:
                _take_new_key(row, secret, actor, now)
            elif secret.strip():
                raise DomainError(
                    "The address stays, so add or rotate the key on the connection's page.",
                    fields=["secret"],
                )
            if not changed:
                return row
            row.save()
            audit(row, actor, "changed", **_told(changed, before))
            touch(row.organization_id)
    except IntegrityError:
        raise _name_taken(name or "") from None
    return row


def _wanted(
    row: Connection,
    name: str | None,
    base_url: str | None,
    settings: Mapping[str, Any] | None,
    model_names: Iterable[str] | None,
    project_id: UUID | str | None,
) -> dict[str, Any]:
    provider = PROVIDERS[row.kind]
    wanted: dict[str, Any] = {}
    if name is not None:
        wanted["name"] = clean_name(name, limit=80)
    if base_url is not None:
        wanted["base_url"] = values.clean_address(provider, base_url)
    if settings is not None:
        wanted["settings"] = values.clean_settings(provider, settings)
    if model_names is not None:
        wanted["model_names"] = values.clean_models(model_names)
    if not isinstance(project_id, str):
        project = chosen_project(row.organization_id, project_id)
        wanted["project_id"] = project.pk if project else None
    return wanted


def _take_new_key(row: Connection, secret: str, actor: User, now: dt.datetime) -> None:
    """Whoever may redirect a connection could otherwise read its keys at their own server."""
    had_keys = row.keys.exclude(state=KeyState.REVOKED).exists()
    if (had_keys or PROVIDERS[row.kind].needs_key) and not secret.strip():
        raise DomainError(
            "The address leads to another host, so enter the key again: a stored key is never sent elsewhere.",
            fields=["secret"],
        )
    revoke_all(connection=row, now=now)
    if secret.strip():
        store_key(connection=row, secret=secret, weight=1, actor=actor)


def _told(changed: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: [str(before[name] or ""), str(value or "")] if name == "project_id" else [before[name], value]
        for name, value in changed.items()
    }  # fmt: skip


@transaction.atomic
def switch_connection(
    *, connection: Connection, is_enabled: bool, actor: User, now: dt.datetime
) -> None:
    """Off: no call goes there until it is on again; calls under way end as they will."""
    row = locked(connection)
    if row.is_enabled == is_enabled:
        return
    row.is_enabled = is_enabled
    row.save(update_fields=["is_enabled", "updated_at"])
    audit(row, actor, "enabled" if is_enabled else "disabled")
    touch(row.organization_id)


@transaction.atomic
def delete_connection(*, connection: Connection, actor: User) -> None:
    """Forget it and its keys. Routes that name it go on with their other targets; what was recorded stays.

    Raises ConflictError while batches are there: nobody could read any more what they cost."""
    row = locked(connection)
    _refuse_open_batches(row)
    audit(row, actor, "deleted", kind=row.kind)
    row.delete()
    touch(row.organization_id)


def _refuse_open_batches(row: Connection) -> None:
    projects = Project.objects.filter(organization=row.organization_id)
    open_rows = Batch.objects.filter(
        project__in=projects, connection_id=row.pk, poll_at__isnull=False
    )
    found = list(open_rows.select_related("project").order_by("created_at")[: NAMED + 1])
    if not found:
        return
    names = [f"{one.provider_id or one.id} of {one.project.name}" for one in found[:NAMED]]
    more = " and more" if len(found) > NAMED else ""
    raise ConflictError(
        f"Batches there are not recorded yet: {', '.join(names)}{more}. Cancel them or wait, then delete it."
        " Switched off, it takes no new calls meanwhile."
    )


def _name_taken(name: str) -> ConflictError:
    return ConflictError(
        f"There is a connection named {name!r} already; choose another name.", fields=["name"]
    )
