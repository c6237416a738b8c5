"""A project's routes as their list shows them, and who changed one. At most 200 routes: one page."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, Sum

from accounts.models import AuditEvent
from core.errors import DomainError
from core.list_query import read_choice, read_text
from gateway.models import Connection, LLMRequest, Route
from gateway.routing.services import rules_of_route
from gateway.routing.words import CHOICES, Step, chain_of
from projects.access import parse_uuid
from projects.models import Project

STATES = {"": "On and off", "on": "On", "off": "Off"}
CHOOSE = {"": "Any choice", **CHOICES}
SORTS = {
    "name": "Name",
    "-calls": "Most calls",
    "-failed": "Most failures",
    "-cost": "Most expensive",
    "-changed": "Changed last",
}
CHANGES = 20
DAY = dt.timedelta(days=1)
_VERBS = {
    "created": "Created",
    "changed": "Changed",
    "enabled": "Switched on",
    "disabled": "Switched off",
}


@dataclass(frozen=True)
class Wanted:
    """What a list is asked for."""

    q: str = ""
    state: str = ""
    choose: str = ""
    connection: str = ""
    sort: str = "name"

    @property
    def is_filtered(self) -> bool:
        return any((self.q, self.state, self.choose, self.connection))


@dataclass(frozen=True)
class Traffic:
    """A route's calls of the last day."""

    calls: int = 0
    failed: int = 0
    fallbacks: int = 0
    cost_usd: Decimal | None = None


@dataclass(frozen=True)
class Row:
    """One route with all a list shows."""

    route: Route
    choose: str
    steps: list[Step]
    traffic: Traffic = field(default_factory=Traffic)

    @property
    def choose_words(self) -> str:
        return CHOICES[self.choose]

    @property
    def is_broken(self) -> bool:
        """Whether it names a connection that is gone."""
        return not all(one.is_known for step in self.steps for one in step.targets)


@dataclass(frozen=True)
class Change:
    """One entry of a route's history; `version` can be read again when `has_rules`."""

    id: UUID
    at: dt.datetime
    what: str
    by: str
    version: int | None
    has_rules: bool


def read_wanted(query: Mapping[str, Any]) -> Wanted:
    """Raises DomainError naming a field that cannot be."""
    wanted = Wanted(
        q=read_text(query, "q"),
        state=read_choice(query, "state", STATES),
        choose=read_choice(query, "choose", CHOOSE),
        connection=str(query.get("connection", "")),
        sort=read_choice(query, "sort", SORTS) or "name",
    )
    if wanted.connection:
        try:
            UUID(wanted.connection)
        except ValueError:
            said = f"connection is {wanted.connection[:40]!r}; it must be a connection's id."
            raise DomainError(said, fields=["connection"]) from None
    return wanted


def connections_of(project: Project) -> list[Connection]:
    """The connections the project may call, switched off ones too. One query."""
    mine = Connection.objects.filter(
        Q(project=None) | Q(project=project), organization_id=project.organization_id
    )
    return list(mine.order_by("name", "pk"))


def names_of(connections: list[Connection]) -> dict[str, str]:
    """Names by id without dashes, as rules have it."""
    return {one.pk.hex: one.name for one in connections}


def listed(
    project: Project, wanted: Wanted, connections: list[Connection], *, now: dt.datetime
) -> list[Row]:
    """The project's routes. Two queries: the routes, and the calls of the last day."""
    names = names_of(connections)
    traffic = traffic_of(project, now=now)
    rows = []
    for route in Route.objects.filter(project=project).order_by("name", "pk"):
        rules = rules_of_route(route)
        row = Row(route, rules.choose, chain_of(rules, names), traffic.get(route.name, Traffic()))
        if _fits(row, wanted):
            rows.append(row)
    return sorted(rows, key=_key(wanted.sort))


def traffic_of(project: Project, *, now: dt.datetime) -> dict[str, Traffic]:
    """Calls of the last day by route. One query."""
    rows = (
        LLMRequest.objects.filter(project=project, accepted_at__gt=now - DAY, accepted_at__lte=now)
        .exclude(route="")
        .values("route")
        .annotate(
            calls=Count("id"),
            failed=Count("id", filter=Q(state__in=["failed", "expired", "lost"])),
            fell=Count("id", filter=Q(fallbacks__gt=0)),
            cost=Sum("cost_usd"),
        )
    )
    return {
        row["route"]: Traffic(row["calls"], row["failed"], row["fell"], row["cost"]) for row in rows
    }


def _fits(row: Row, wanted: Wanted) -> bool:
    if wanted.state and row.route.is_enabled is not (wanted.state == "on"):
        return False
    if wanted.choose and row.choose != wanted.choose:
        return False
    if wanted.connection:
        rules = rules_of_route(row.route)
        if UUID(wanted.connection).hex not in {one.connection for one in rules.targets}:
            return False
    texts = [row.route.name, row.route.note]
    for step in row.steps:
        for one in step.targets:
            texts += [one.connection, one.model]
    return wanted.q.casefold() in "\n".join(texts).casefold()


def _key(sort: str) -> Any:
    def name(row: Row) -> tuple[bool, str]:
        return (row.route.name == "*", row.route.name.casefold())  # what is left comes last

    return {
        "name": name,
        "-calls": lambda row: (-row.traffic.calls, name(row)),
        "-failed": lambda row: (-row.traffic.failed, name(row)),
        "-cost": lambda row: (-(row.traffic.cost_usd or Decimal(0)), name(row)),
        "-changed": lambda row: (-row.route.updated_at.timestamp(), name(row)),
    }[sort]


def changes_of(route: Route, organization_id: UUID) -> list[Change]:
    """Who changed the route, newest first. One query, bounded by what the audit trail holds of routes."""
    rows = AuditEvent.objects.filter(
        organization_id=organization_id,
        action__startswith="gateway.route.",
        data__route=str(route.pk),
    ).select_related("actor")
    return [_change(one) for one in rows.order_by("-created_at", "-id")[:CHANGES]]


def _change(one: AuditEvent) -> Change:
    verb = one.action.rpartition(".")[2]
    by = (one.actor.name or one.actor.email) if one.actor else one.actor_label
    return Change(
        one.pk,
        one.created_at,
        _VERBS.get(verb, verb),
        by,
        one.data.get("version"),
        "rules" in one.data,
    )


def version_of(route: Route, organization_id: UUID, event_id: str) -> dict[str, Any] | None:
    """The rules an entry of the route's history had; None when there is no such entry."""
    uid = parse_uuid(event_id)
    if uid is None:
        return None
    found = AuditEvent.objects.filter(
        organization_id=organization_id,
        pk=uid,
        action__startswith="gateway.route.",
        data__route=str(route.pk),
    ).first()
    rules = found.data.get("rules") if found else None
    return rules if isinstance(rules, dict) else None
