"""What the caches did and hold: figures, thresholds per route, the list of kept answers, one of them."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from django.db.models import F, QuerySet

from core.errors import NotFoundError
from core.keyset import keyset_page
from core.list_query import read_choice, read_text
from gateway.cache.emptying import NONE
from gateway.cache.tightening import DAYS, LATEST, Record, record_of
from gateway.models import (
    CachedResponse,
    CacheThreshold,
    GatewaySettings,
    Route,
    ShadowCheck,
)
from gateway.structs import ProjectRules, RouteRules
from gateway.sums.reading import Calls, Stretch, course
from projects.models import Project

PAGE = 50
LONGEST = 200
RANGES = {"24h": "Last 24 hours", "7d": "Last 7 days", "30d": "Last 30 days"}
_SPANS = {"24h": (24, "hour"), "7d": (7, "day"), "30d": (30, "day")}
LABELS = ("model", "route", "namespace", "prompt_version")
SORTS = {
    "-created": "Newest first",
    "created": "Oldest first",
    "-hits": "Most hits",
    "-saved": "Saved most",
    "expires": "Expires first",
}
_COLUMNS: dict[str, tuple[str, type]] = {
    "created": ("created_at", dt.datetime),
    "hits": ("hits", int),
    "saved": ("saved_usd", Decimal),
    "expires": ("expires_at", dt.datetime),
}


@dataclass(frozen=True)
class Asked:
    """What the list is narrowed by; `-` asks for an empty label."""

    model: str = ""
    route: str = ""
    namespace: str = ""
    prompt_version: str = ""
    sort: str = "-created"
    range: str = "7d"
    after: str = ""

    @property
    def is_filtered(self) -> bool:
        return any(getattr(self, name) for name in (*LABELS, "after"))

    @property
    def conditions(self) -> dict[str, str]:
        said = {name: getattr(self, name) for name in LABELS}
        return {name: "" if text == NONE else text for name, text in said.items() if text}


def read_asked(query: Mapping[str, Any]) -> Asked:
    """Raises DomainError naming field, value and rule."""
    said = {name: read_text(query, name) for name in LABELS}
    return Asked(
        **said,
        sort=read_choice(query, "sort", SORTS) or "-created",
        range=read_choice(query, "range", RANGES) or "7d",
        after=str(query.get("after", "")),
    )


def entries(project: Project, *, now: dt.datetime) -> QuerySet[CachedResponse]:
    """The answers that may still be given, without what is sealed."""
    rows = CachedResponse.objects.filter(project=project.pk, expires_at__gt=now)
    return rows.defer("sealed", "vector")


def listed(
    project: Project, asked: Asked, *, now: dt.datetime, limit: int = PAGE
) -> tuple[list[CachedResponse], str]:
    """A page of answers and the cursor of the next ("": no more). One query."""
    column, kind = _COLUMNS[asked.sort.lstrip("-")]
    return keyset_page(
        entries(project, now=now).filter(**asked.conditions),
        sort=asked.sort, column=column, kind=kind, after=asked.after, limit=limit,
    )  # fmt: skip


def entry_of(project: Project, entry_id: UUID, *, now: dt.datetime) -> CachedResponse:
    """One answer with what is sealed. One query. Raises NotFoundError."""
    rows = CachedResponse.objects.filter(project=project.pk, id=entry_id, expires_at__gt=now)
    found = rows.defer("vector").first()
    if found is None:
        raise NotFoundError("There is no such kept answer, or it expired.")
    return found


def labels_of(project: Project, *, now: dt.datetime) -> dict[str, list[str]]:
    """What the list can be narrowed by. Two queries."""
    rows = entries(project, now=now).order_by()
    return {
        name: list(rows.values_list(name, flat=True).distinct().order_by(name)[:LONGEST])
        for name in ("model", "route")
    }


@dataclass(frozen=True)
class Bucket:
    """An hour or a day."""

    at: dt.datetime
    exact_usd: Decimal = Decimal(0)
    semantic_usd: Decimal = Decimal(0)


@dataclass(frozen=True)
class Figures:
    """What the caches did in a span of time. `asked`: calls that looked."""

    asked: int = 0
    exact: int = 0
    semantic: int = 0
    unpriced: int = 0
    buckets: list[Bucket] = field(default_factory=list)

    @property
    def hits(self) -> int:
        return self.exact + self.semantic

    @property
    def rate(self) -> float | None:
        """None when nobody looked."""
        return self.hits / self.asked if self.asked else None

    @property
    def saved_usd(self) -> Decimal:
        return sum((one.exact_usd + one.semantic_usd for one in self.buckets), Decimal(0))


def figures_of(project: Project, span: str, *, now: dt.datetime) -> Figures:
    """From the sums per hour. One query."""
    count, unit = _SPANS[span]
    step = dt.timedelta(hours=1) if unit == "hour" else dt.timedelta(days=1)
    last = now.replace(minute=0, second=0, microsecond=0)
    last = last if unit == "hour" else last.replace(hour=0)
    first = last - step * (count - 1)
    calls, saved = Calls(), dict[dt.datetime, Calls]()
    for hour, found in course(Stretch([project.pk], first, now)).items():
        bucket = hour if unit == "hour" else hour.replace(hour=0)
        saved[bucket] = saved.get(bucket, Calls()) + found
        calls += found
    moments = [first + step * number for number in range(count)]
    buckets = [(at, saved.get(at, Calls())) for at in moments]
    return Figures(
        calls.exact + calls.semantic + calls.missed, calls.exact, calls.semantic, calls.unpriced_hits,
        [Bucket(at, found.exact_usd, found.semantic_usd) for at, found in buckets],
    )  # fmt: skip


@dataclass(frozen=True)
class RouteChecks:
    """A route's checked hits by meaning, and the threshold that tightened itself, if it did."""

    route: str
    record: Record
    tightened: CacheThreshold | None
    last_at: dt.datetime | None
    # What the rule says now; None: the route is gone or answers nothing by meaning any more.
    threshold: float | None

    @property
    def name(self) -> str:
        return self.route or "Direct calls"


def checks_of(project: Project, *, now: dt.datetime) -> list[RouteChecks]:
    """Per route that answers by meaning or did, the latest of the last 30 days. Four queries."""
    rows = ShadowCheck.objects.filter(
        project=project.pk, checked_at__gt=now - dt.timedelta(days=DAYS)
    )
    found: dict[str, list[tuple[bool | None, float]]] = {}
    last: dict[str, dt.datetime] = {}
    newest = rows.order_by("-checked_at").values_list(
        "route", "is_right", "similarity", "checked_at"
    )
    for route, is_right, similarity, at in newest[: LATEST * 10]:
        last.setdefault(route, at)
        if len(found.setdefault(route, [])) < LATEST:
            found[route].append((is_right, similarity))
    tightened = {one.route: one for one in CacheThreshold.objects.filter(project=project)}
    rules = _thresholds(project)
    return [
        RouteChecks(
            route,
            record_of(found.get(route, [])),
            tightened.get(route),
            last.get(route),
            rules.get(route),
        )
        for route in sorted({*found, *tightened, *rules})
    ]


def _thresholds(project: Project) -> dict[str, float]:
    """What the rules of routes that answer by meaning say; "" are direct calls. Two queries."""
    said = GatewaySettings.objects.filter(project=project).values_list("rules", flat=True).first()
    common = msgspec.convert(said or {}, ProjectRules).cache
    found = {"": common}
    routes = Route.objects.filter(project=project, is_enabled=True).values_list("name", "rules")
    for name, rules in routes:
        found[name] = msgspec.convert(rules, RouteRules).cache or common
    return {name: rule.threshold for name, rule in found.items() if rule.semantic}


def checks_about(project: Project, entry: CachedResponse) -> list[ShadowCheck]:
    """The latest checks of hits on one answer. One query."""
    rows = ShadowCheck.objects.filter(project=project.pk, cached_id=entry.id)
    return list(rows.order_by(F("checked_at").desc())[:20])
