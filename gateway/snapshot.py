"""What a process knows of a project's gateway: connections, routes, limits and rules, read whole and kept a second.

Every change bumps the organisation's version (`touch`); a process that has a snapshot asks for the version at most
once a second and reads again only when it grew. While PostgreSQL is away the last known one holds.
"""

import datetime as dt
import logging
import math
import threading
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from django.db import DatabaseError, connection
from django.db.models import Q
from django.utils import timezone

from accounts.models import Organization
from costs.allocation.teams import Matcher
from costs.budgets.teams import rules_for
from costs.models import Budget
from costs.price_rules import NO_RULES, RuleSet
from costs.services.rule_cache import load_rules
from gateway.models import (
    Connection,
    ConnectionKey,
    GatewaySettings,
    KeyState,
    Limit,
    Route,
)
from gateway.routing.quality import scores_by_model
from gateway.structs import ProjectRules, RouteRules

logger = logging.getLogger(__name__)

FRESH_S = 1.0
# How long the last known snapshot holds when PostgreSQL does not answer.
STALE_S = 900.0
# How old mean scores may be: nobody's quality changes in five minutes.
SCORES_S = 300.0
MAX_KEPT = 2_000

_TOUCH = """
INSERT INTO gateway_configversion (organization_id, version) VALUES (%s, 1)
ON CONFLICT (organization_id) DO UPDATE SET version = gateway_configversion.version + 1
"""
# Prices, budgets and teams are changed by those who do not know of gateways.
_VERSION = """
SELECT (SELECT version FROM gateway_configversion WHERE organization_id = %s),
  (SELECT version FROM costs_pricebook WHERE organization_id = %s),
  (SELECT (count(*), max(updated_at))::text FROM costs_budget WHERE organization_id = %s),
  (SELECT version FROM costs_allocationbook WHERE organization_id = %s)
"""
Version = tuple[int | str | None, ...]


class KeyView(msgspec.Struct, frozen=True):
    id: str
    sealed: bytes
    hint: str
    weight: int
    retires_at: dt.datetime | None


class ConnectionView(msgspec.Struct, frozen=True):
    """An enabled connection this project may call."""

    id: str
    name: str
    kind: str
    base_url: str
    settings: dict[str, Any]
    model_names: tuple[str, ...]
    keys: tuple[KeyView, ...]


class RouteView(msgspec.Struct, frozen=True):
    id: str
    name: str
    rules: RouteRules
    version: int


class LimitView(msgspec.Struct, frozen=True):
    """A running limit that may count this project's calls."""

    id: str
    name: str
    project_id: str  # empty: all of the organisation
    scope: str
    value: str
    metric: str
    window: str
    amount: Decimal
    is_hard: bool


class BudgetView(msgspec.Struct, frozen=True):
    """A hard budget (costs.Budget) that may count this project's calls; those whose days are not now, too."""

    id: str
    name: str
    organization_id: UUID
    project_id: UUID | None
    scope: str
    value: str
    period: str
    rolling_days: int | None
    time_zone: str
    amount_usd: Decimal
    starts_on: dt.date | None
    ends_on: dt.date | None


class Snapshot(msgspec.Struct, frozen=True):
    organization_id: str
    project_id: str
    version: Version
    rules: ProjectRules
    connections: dict[str, ConnectionView]
    routes: dict[str, RouteView]  # by name in lower case
    limits: tuple[LimitView, ...]
    # The organisation's wrapped data key: `core.crypto.data_cipher` of it opens the connections' keys.
    data_key: bytes
    budgets: tuple[BudgetView, ...] = ()
    # Which team a call is of, where a team has a hard budget and rules say so; else its tags do.
    teams: Matcher | None = None
    # The organisation's own prices.
    prices: RuleSet = NO_RULES
    # Mean scores by model, where a route takes the best first; read every `SCORES_S`.
    quality: dict[str, float] = {}


class _Kept(msgspec.Struct):
    snapshot: Snapshot
    seen_at: float
    scored_at: float = -math.inf


_kept: dict[str, _Kept] = {}
_lock = threading.Lock()


def touch(organization_id: UUID) -> None:
    """Say that something of the organisation's gateway changed; call it in the transaction that changes it."""
    with connection.cursor() as cursor:
        cursor.execute(_TOUCH, [organization_id])


def snapshot_of(
    organization_id: UUID, project_id: UUID, *, now: float, fresh_s: float = FRESH_S
) -> Snapshot:
    """The project's snapshot, at most `fresh_s` old (`now`: a monotonic clock). One query, or none.

    Raises DatabaseError when PostgreSQL is away and nothing is known that is younger than `STALE_S`.
    """
    kept = _kept.get(project_id.hex)
    if kept is not None and now - kept.seen_at < fresh_s:
        return kept.snapshot
    try:
        version = _version(organization_id)
        if kept is None or kept.snapshot.version != version:
            kept = _Kept(load(organization_id, project_id, version), now)
    except DatabaseError:
        if kept is None or now - kept.seen_at > STALE_S:
            raise
        logger.warning("gateway.snapshot.stale")
        return kept.snapshot
    _score(kept, project_id, now)
    kept.seen_at = now
    with _lock:
        if len(_kept) >= MAX_KEPT and project_id.hex not in _kept:
            _kept.pop(next(iter(_kept)))
        _kept[project_id.hex] = kept
    return kept.snapshot


def _score(kept: _Kept, project_id: UUID, now: float) -> None:
    """Read how models are scored, where a route goes by it. No scores are no reason not to route."""
    routes = kept.snapshot.routes.values()
    if now - kept.scored_at < SCORES_S or all(one.rules.choose != "quality" for one in routes):
        return
    kept.scored_at = now
    try:
        scores = scores_by_model(project_id, now=timezone.now())
    except DatabaseError:
        logger.warning("gateway.snapshot.unscored")
        return
    kept.snapshot = msgspec.structs.replace(kept.snapshot, quality=scores)


def forget() -> None:
    """Know nothing (tests)."""
    _kept.clear()


def _version(organization_id: UUID) -> Version:
    with connection.cursor() as cursor:
        cursor.execute(_VERSION, [organization_id] * 4)
        found: Version = cursor.fetchone()
    return found


def load(organization_id: UUID, project_id: UUID, version: Version) -> Snapshot:
    """Read everything. Eight queries, two more where a team has a hard budget. `version` must have been read before: a
    change meanwhile is then read again."""
    hard = Budget.objects.filter(_for(project_id), organization_id=organization_id)
    budgets = list(hard.filter(is_hard=True, is_paused=False).order_by("created_at"))
    settings = GatewaySettings.objects.filter(project_id=project_id).values_list("rules", flat=True)
    routes = Route.objects.filter(project_id=project_id, is_enabled=True)
    return Snapshot(
        organization_id=organization_id.hex,
        project_id=project_id.hex,
        version=version,
        rules=msgspec.convert(settings.first() or {}, ProjectRules),
        connections=_connections(organization_id, project_id),
        routes={
            row.name.lower(): RouteView(
                id=row.pk.hex,
                name=row.name,
                rules=msgspec.convert(row.rules, RouteRules),
                version=row.version,
            )
            for row in routes
        },
        limits=_limits(organization_id, project_id),
        data_key=bytes(
            Organization.objects.values_list("data_key", flat=True).get(pk=organization_id)
        ),
        budgets=tuple(_budget(row) for row in budgets),
        teams=rules_for(organization_id, budgets),
        prices=load_rules(project_id),
    )


def _budget(row: Budget) -> BudgetView:
    return BudgetView(
        id=row.pk.hex,
        name=row.name,
        organization_id=row.organization_id,
        project_id=row.project_id,
        scope=row.scope,
        value=row.value,
        period=row.period,
        rolling_days=row.rolling_days,
        time_zone=row.time_zone,
        amount_usd=row.amount_usd,
        starts_on=row.starts_on,
        ends_on=row.ends_on,
    )


def _for(project_id: UUID) -> Q:
    return Q(project=None) | Q(project_id=project_id)


def _connections(organization_id: UUID, project_id: UUID) -> dict[str, ConnectionView]:
    rows = Connection.objects.filter(
        _for(project_id), organization_id=organization_id, is_enabled=True
    )
    keys: dict[UUID, list[KeyView]] = {}
    usable = ConnectionKey.objects.filter(
        connection__organization_id=organization_id,
        state__in=[KeyState.ACTIVE, KeyState.RETIRING],
    )
    for key in usable.order_by("created_at"):
        view = KeyView(key.pk.hex, bytes(key.sealed), key.hint, key.weight, key.retires_at)
        keys.setdefault(key.connection_id, []).append(view)
    return {
        row.pk.hex: ConnectionView(
            id=row.pk.hex,
            name=row.name,
            kind=row.kind,
            base_url=row.base_url,
            settings=row.settings,
            model_names=tuple(row.model_names),
            keys=tuple(keys.get(row.pk, ())),
        )
        for row in rows.order_by("created_at")
    }


def _limits(organization_id: UUID, project_id: UUID) -> tuple[LimitView, ...]:
    rows = Limit.objects.filter(_for(project_id), organization_id=organization_id, is_paused=False)
    return tuple(
        LimitView(
            id=row.pk.hex,
            name=row.name,
            project_id=row.project_id.hex if row.project_id else "",
            scope=row.scope,
            value=row.value,
            metric=row.metric,
            window=row.window,
            amount=row.amount,
            is_hard=row.is_hard,
        )
        for row in rows.order_by("created_at")
    )
