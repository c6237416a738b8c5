"""Writing routes and a project's rules. Each change is audited whole, so that an older version can be read again."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from django.db import IntegrityError, transaction

from accounts.models import User
from accounts.services import record_audit_event
from core.errors import ConflictError, NotFoundError
from gateway.models import Connection, GatewaySettings, Route
from gateway.routing.drafts import read_project_rules, read_route_rules, refused
from gateway.snapshot import touch
from gateway.structs import ProjectRules, RouteRules
from projects.models import ApiKey, Project

MAX_ROUTES = 200
UNKNOWN_ROUTE = "There is no such route, or it was deleted."


class RouteNameTakenError(ConflictError):
    """Another route of the project is called the same."""

    code = "route_name_taken"


class StaleFormError(ConflictError):
    """Somebody else saved since the form was opened: saving it would undo what they did."""

    code = "stale_form"


@dataclass(frozen=True)
class By:
    """Who changes it: a person, or a program by its API key (`label`)."""

    user: User | None = None
    label: str = ""


def connection_ids(project: Project) -> set[UUID]:
    """The connections a project's routes may name. One query."""
    mine = Connection.objects.filter(organization_id=project.organization_id)
    return {
        pk
        for pk, only in mine.values_list("pk", "project_id")
        if only is None or only == project.pk
    }


def clean_route_name(name: str) -> str:
    """Raises InvalidRulesError for what no client could send as a model."""
    name = name.strip()
    if not 1 <= len(name) <= 120:
        raise refused("name", name, "a name has 1 to 120 characters.")
    if not name.isprintable() or any(sign.isspace() for sign in name):
        raise refused("name", name, "clients send it as `model`: no spaces or control characters.")
    return name


def create_route(
    *,
    project: Project,
    name: str,
    note: str,
    rules: Mapping[str, Any],
    by: By,
    now: dt.datetime,
    is_enabled: bool = True,
) -> Route:
    """A new route. Raises InvalidRulesError, RouteNameTakenError, ConflictError at MAX_ROUTES."""
    read = read_route_rules(rules, connections=connection_ids(project))
    route = Route(
        project=project,
        name=clean_route_name(name),
        note=_note(note),
        rules=_stored(read),
        is_enabled=is_enabled,
        updated_by=by.user,
    )
    with transaction.atomic():
        # One writer of a project's routes at a time, so that MAX_ROUTES holds.
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        if Route.objects.filter(project=project).count() >= MAX_ROUTES:
            raise ConflictError(f"A project has at most {MAX_ROUTES} routes; delete one first.")
        _save(route)
        _audit(route, project, by, "created")
    return route


@transaction.atomic
def change_route(
    *,
    project: Project,
    route_id: UUID,
    name: str,
    note: str,
    rules: Mapping[str, Any],
    by: By,
    now: dt.datetime,
    is_enabled: bool | None = None,
    seen: str = "",
) -> Route:
    """Replace what a route says, and switch it on or off where asked; nothing is written when it says the same.
    `seen`: the version that whoever changes it looked at.

    Raises NotFoundError, InvalidRulesError, RouteNameTakenError, StaleFormError.
    """
    route = locked(project, route_id)
    if is_enabled is not None and is_enabled != route.is_enabled:
        route = enable_route(
            project=project, route_id=route_id, is_enabled=is_enabled, by=by, now=now
        )
    read = read_route_rules(rules, connections=connection_ids(project))
    before = {"name": route.name, "note": route.note, "rules": route.rules}
    route.name, route.note = clean_route_name(name), _note(note)
    route.rules = _stored(read)
    if before == {"name": route.name, "note": route.note, "rules": route.rules}:
        return route
    if seen and seen != str(route.version):
        raise StaleFormError(
            f"Version {route.version} was saved since you opened this page. Open it anew to see what changed, or save"
            " again to replace it."
        )
    route.version += 1
    route.updated_by = by.user
    _save(route)
    _audit(route, project, by, "changed", before=before)
    return route


@transaction.atomic
def enable_route(
    *, project: Project, route_id: UUID, is_enabled: bool, by: By, now: dt.datetime
) -> Route:
    """Switch a route on or off; asking twice changes nothing. Raises NotFoundError."""
    route = locked(project, route_id)
    if route.is_enabled != is_enabled:
        route.is_enabled = is_enabled
        route.updated_by = by.user
        route.save(update_fields=["is_enabled", "updated_by", "updated_at"])
        _audit(route, project, by, "enabled" if is_enabled else "disabled")
    return route


@transaction.atomic
def delete_route(*, project: Project, route_id: UUID, by: By, now: dt.datetime) -> None:
    """Remove a route; calls that name it are refused from then on, or go directly. Raises NotFoundError."""
    route = locked(project, route_id)
    _audit(route, project, by, "deleted", rules=route.rules)
    route.delete()


def duplicate_route(*, project: Project, route_id: UUID, by: By, now: dt.datetime) -> Route:
    """The same under another name, switched off. Raises NotFoundError, ConflictError at MAX_ROUTES."""
    route = route_of(project, route_id)
    taken = {
        name.lower()
        for name in Route.objects.filter(project=project).values_list("name", flat=True)
    }
    stem = "any" if route.name == "*" else route.name[:110]
    name = next(
        said
        for said in (f"{stem}-copy{n or ''}" for n in range(MAX_ROUTES + 2))
        if said.lower() not in taken
    )
    return create_route(
        project=project,
        name=name,
        note=route.note,
        rules=route.rules,
        is_enabled=False,
        by=by,
        now=now,
    )


def route_of(project: Project, route_id: UUID) -> Route:
    """One route. One query. Raises NotFoundError."""
    found = Route.objects.select_related("updated_by").filter(project=project, pk=route_id).first()
    if found is None:
        raise NotFoundError(UNKNOWN_ROUTE)
    return found


def locked(project: Project, route_id: UUID) -> Route:
    """One route, held until the transaction ends. Raises NotFoundError."""
    found = Route.objects.select_for_update().filter(project=project, pk=route_id).first()
    if found is None:
        raise NotFoundError(UNKNOWN_ROUTE)
    return found


def rules_of_project(project_id: UUID) -> ProjectRules:
    """What holds for all calls of a project. One query."""
    stored = GatewaySettings.objects.filter(pk=project_id).values_list("rules", flat=True).first()
    return msgspec.convert(stored or {}, ProjectRules)


@transaction.atomic
def change_settings(
    *,
    project: Project,
    changes: Mapping[str, Any],
    by: By,
    now: dt.datetime,
    seen: str | None = None,
) -> ProjectRules:
    """Set the given fields of ProjectRules; others stay, and nothing is written when all are as they were. `seen`:
    `settings_mark` of what whoever changes them looked at.

    Raises InvalidRulesError, StaleFormError.
    """
    # Two who change different fields at once must not undo each other.
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    row = GatewaySettings.objects.filter(pk=project.pk).first() or GatewaySettings(project=project)
    keys = set(ApiKey.objects.filter(project=project).values_list("pk", flat=True))
    stored = dict(row.rules)
    if "key_priorities" not in changes:
        stored["key_priorities"] = {
            pk: said for pk, said in stored.get("key_priorities", {}).items() if UUID(pk) in keys
        }
    read = read_project_rules({**stored, **changes}, keys=keys)
    after = _stored(read)
    if after == row.rules:
        return read
    if seen is not None and seen != settings_mark(row):
        raise StaleFormError(
            "Somebody saved other settings since you opened this page. Open it anew to see what changed, or save again"
            " to replace them."
        )
    before, row.rules, row.updated_by = row.rules, after, by.user
    row.save()
    record_audit_event(
        organization_id=project.organization_id,
        actor=by.user,
        actor_label=by.label,
        action="gateway.settings.changed",
        target=project.name,
        data={"project": str(project.pk), "before": before, "rules": after},
    )
    touch(project.organization_id)
    return read


def settings_mark(row: GatewaySettings | None) -> str:
    """What tells one saved state of the settings from the next."""
    return row.updated_at.isoformat() if row is not None and row.updated_at else ""


def rules_of_route(route: Route) -> RouteRules:
    """A stored route's rules."""
    return msgspec.convert(route.rules, RouteRules)


def _stored(rules: RouteRules | ProjectRules) -> dict[str, Any]:
    """As PostgreSQL gives it back: lists, no tuples."""
    stored: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(rules))
    return stored


def _note(text: str) -> str:
    text = text.strip()
    if len(text) > 500 or "\x00" in text:
        raise refused("note", text, "at most 500 characters.")
    return text


def _save(route: Route) -> None:
    try:
        with transaction.atomic():
            route.save()
    except IntegrityError:
        raise RouteNameTakenError(
            f"The project already has a route named {route.name}.", fields=["name"]
        ) from None


def _audit(route: Route, project: Project, by: By, verb: str, **data: Any) -> None:
    record_audit_event(
        organization_id=project.organization_id,
        actor=by.user,
        actor_label=by.label,
        action=f"gateway.route.{verb}",
        target=route.name,
        data={
            "route": str(route.pk),
            "project": str(project.pk),
            "version": route.version,
            **({"rules": route.rules} if verb in ("created", "changed") else {}),
            **data,
        },
    )
    touch(project.organization_id)
