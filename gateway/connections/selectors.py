"""Reads about connections: the list and how each stands, one of them, its keys, the routes that use it."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.db.models.functions import Lower

from core.errors import NotFoundError
from core.keyset import keyset_page
from core.list_query import read_choice, read_text
from gateway.connections.checking import is_lost, is_testing
from gateway.connections.providers import PROVIDERS, Provider, address_of
from gateway.models import Connection, ConnectionKey, KeyState, ProviderKind, Route
from projects.models import Project

PAGE = 50
KINDS = {"": "Every kind"} | dict(ProviderKind.choices)
STATES = {
    "": "Any state",
    "ok": "Works",
    "error": "Error",
    "never": "Not tested",
    "off": "Switched off",
}
SORTS = {
    "name": "By name",
    "-name": "By name, backwards",
    "-created": "Newest first",
    "created": "Oldest first",
}


@dataclass(frozen=True)
class Asked:
    """What the list is narrowed by and how it is ordered; checked by `read_asked`."""

    q: str = ""
    kind: str = ""
    state: str = ""
    sort: str = "name"
    after: str = ""

    @property
    def is_filtered(self) -> bool:
        return bool(self.q or self.kind or self.state or self.after)


@dataclass(frozen=True)
class KeyRow:
    """A key as pages show it."""

    key: ConnectionKey
    # Of the calls, in percent; None for one that only stands in.
    share: float | None


@dataclass(frozen=True)
class Row:
    """A connection as pages show it. `keys`: those that count now, oldest first."""

    connection: Connection
    keys: list[KeyRow]
    now: dt.datetime

    @property
    def provider(self) -> Provider:
        return PROVIDERS[self.connection.kind]

    @property
    def address(self) -> str:
        return address_of(self.connection)

    @property
    def state(self) -> str:
        """off, testing, no_key, ok, error, lost (a test nobody did) or never."""
        if not self.connection.is_enabled:
            return "off"
        if is_testing(self.connection, self.now):
            return "testing"
        if self.provider.needs_key and not self.keys:
            return "no_key"
        return "lost" if is_lost(self.connection, self.now) else self.connection.check_state


def read_asked(query: Mapping[str, Any]) -> Asked:
    """Raises DomainError naming field, value and rule."""
    return Asked(
        read_text(query, "q"),
        read_choice(query, "kind", KINDS),
        read_choice(query, "state", STATES),
        read_choice(query, "sort", SORTS) or "name",
        str(query.get("after", "")),
    )


def chosen(organization_id: UUID, asked: Asked) -> QuerySet[Connection]:
    """The organisation's connections, narrowed and ordered, with their projects."""
    rows = Connection.objects.filter(organization_id=organization_id).select_related("project")
    rows = rows.annotate(lower_name=Lower("name"))
    if asked.q:
        rows = rows.filter(
            Q(name__icontains=asked.q)
            | Q(base_url__icontains=asked.q)
            | Q(model_names__icontains=asked.q)
        )
    if asked.kind:
        rows = rows.filter(kind=asked.kind)
    if asked.state == "off":
        rows = rows.filter(is_enabled=False)
    elif asked.state:
        rows = rows.filter(is_enabled=True, check_state=asked.state)
    sign = "-" if asked.sort.startswith("-") else ""
    return rows.order_by(f"{sign}{_column(asked)[0]}", f"{sign}pk")


def _column(asked: Asked) -> tuple[str, type]:
    return ("created_at", dt.datetime) if asked.sort.endswith("created") else ("lower_name", str)


def listed(
    organization_id: UUID, asked: Asked, *, now: dt.datetime, limit: int = PAGE
) -> tuple[list[Row], str]:
    """A page of rows and the cursor of the next ("": no more). Two queries."""
    column, kind = _column(asked)
    found, after = keyset_page(
        chosen(organization_id, asked),
        sort=asked.sort, column=column, kind=kind, after=asked.after, limit=limit,
    )  # fmt: skip
    return rows_of(found, now=now), after


def rows_of(connections: Sequence[Connection], *, now: dt.datetime) -> list[Row]:
    """With the keys that count now. One query, none without connections."""
    if not connections:
        return []
    usable = Q(state=KeyState.ACTIVE) | Q(state=KeyState.RETIRING, retires_at__gt=now)
    keys: dict[UUID, list[ConnectionKey]] = {}
    found = ConnectionKey.objects.filter(usable, connection__in=connections).defer("sealed")
    for key in found.order_by("created_at", "pk"):
        keys.setdefault(key.connection_id, []).append(key)
    return [Row(one, _shared(keys.get(one.pk, [])), now) for one in connections]


def _shared(keys: list[ConnectionKey]) -> list[KeyRow]:
    total = sum(key.weight for key in keys if key.state == KeyState.ACTIVE)
    return [
        KeyRow(key, key.weight / total if key.state == KeyState.ACTIVE else None) for key in keys
    ]


def connection_of(organization_id: UUID, connection_id: UUID) -> Connection:
    """With its organisation, project and who made it. One query. Raises NotFoundError."""
    row = (
        Connection.objects.select_related("organization", "project", "created_by")
        .filter(organization_id=organization_id, pk=connection_id)
        .first()
    )
    if row is None:
        raise NotFoundError("There is no such connection in this organisation.")
    return row


def key_of(connection: Connection, key_id: UUID) -> ConnectionKey:
    """A key of it, revoked or not. One query. Raises NotFoundError."""
    key = ConnectionKey.objects.defer("sealed").filter(connection=connection, pk=key_id).first()
    if key is None:
        raise NotFoundError("There is no such key.")
    key.connection = connection
    return key


def routes_using(connection: Connection) -> list[Route]:
    """Routes that name it as a target, with their projects. One query."""
    named = Q()
    for text in (connection.pk.hex, str(connection.pk)):
        named |= Q(rules__targets__contains=[{"connection": text}])
    rows = Route.objects.filter(named, project__organization_id=connection.organization_id)
    return list(rows.select_related("project").order_by("project__name", "name", "pk")[:50])


def projects_to_choose(organization_id: UUID) -> list[Project]:
    """By name. One query."""
    rows = Project.objects.filter(organization_id=organization_id).exclude(
        status=Project.Status.DELETING
    )
    return list(rows.order_by(Lower("name"), "pk"))
