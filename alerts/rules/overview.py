"""Rules as their list shows them: where each stands now, filtered, sorted and cut into pages."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import (
    Case,
    Count,
    F,
    IntegerField,
    Max,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Coalesce, Lower

from alerts.events.lists import read_id
from alerts.models import (
    Alert,
    AlertChannel,
    AlertEvent,
    AlertKind,
    AlertState,
    EventState,
    Severity,
    StateStatus,
)
from alerts.rules.words import (
    condition_words,
    level_words,
    scope_words,
    value_of,
    watched_words,
)
from core.cursors import decode_place, encode_place
from core.errors import NotFoundError
from core.list_query import read_choice, read_text
from projects.access import parse_uuid

# Worst first; what is switched off comes last.
STATES = {
    "": "Any state",
    "firing": "Firing",
    "pending": "Pending",
    "no_data": "No data",
    "ok": "OK",
    "unknown": "Not judged yet",
    "off": "Off",
}
_RANK = {"firing": 0, "pending": 1, "no_data": 2, "ok": 3, "unknown": 4, "off": 5}
ENABLED = {"": "On and off", "on": "On", "off": "Off", "muted": "Muted"}
SORTS = {
    "state": "Worst first",
    "name": "Name",
    "-fired": "Fired last",
    "kind": "What it watches",
    "-created": "Newest",
}
_COLUMNS: dict[str, tuple[str, type]] = {
    "state": ("rank", int),
    "name": ("lower", str),
    "fired": ("fired", dt.datetime),
    "kind": ("kind", str),
    "created": ("created_at", dt.datetime),
}
# Rules that never fired come last.
_NEVER = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
PAGE = 50


@dataclass(frozen=True)
class Wanted:
    """What a list is asked for."""

    q: str = ""
    kind: str = ""
    state: str = ""
    project: str = ""
    severity: str = ""
    channel: str = ""
    enabled: str = ""
    sort: str = "state"
    after: str = ""

    @property
    def is_filtered(self) -> bool:
        return any(
            (self.q, self.kind, self.state, self.project, self.severity, self.channel, self.enabled,
             self.after)
        )  # fmt: skip


@dataclass(frozen=True)
class Told:
    """A channel of a rule."""

    id: UUID
    name: str
    is_enabled: bool


@dataclass(frozen=True)
class Row:
    """One rule with all a list shows. `worst` is the state that counts: of several keys the worst one."""

    alert: Alert
    state: str
    worst: AlertState | None
    firing: int
    keys: int
    channels: tuple[Told, ...]
    escalation: tuple[Told, ...]
    fired_at: dt.datetime | None
    open_event: AlertEvent | None
    is_muted: bool

    @property
    def condition(self) -> str:
        return condition_words(self.alert)

    @property
    def watched(self) -> str:
        return watched_words(self.alert)

    @property
    def scope(self) -> str:
        return scope_words(self.alert)

    @property
    def levels(self) -> list[tuple[str, str]]:
        return level_words(self.alert)

    @property
    def value(self) -> str:
        found = self.worst.value if self.worst else None
        return value_of(self.alert, found) if found is not None else ""

    @property
    def since(self) -> dt.datetime | None:
        return self.worst.since if self.worst else None


def read_wanted(query: Mapping[str, Any]) -> Wanted:
    """The filters of an address. Raises DomainError naming field, value and rule."""
    channel = read_id(query, "channel")
    return Wanted(
        read_text(query, "q"),
        read_choice(query, "kind", AlertKind.values),
        read_choice(query, "state", tuple(STATES)),
        read_text(query, "project", 80),
        read_choice(query, "severity", Severity.values),
        str(channel or ""),
        read_choice(query, "enabled", tuple(ENABLED)),
        read_choice(query, "sort", tuple(SORTS)) or "state",
        str(query.get("after", "")),
    )


def rules_of(organization_id: UUID) -> QuerySet[Alert]:
    """An organisation's rules with what their words need."""
    return Alert.objects.filter(organization_id=organization_id).select_related("project", "budget")


def rule_of(organization_id: UUID, rule_id: UUID) -> Alert:
    """One rule. One query. Raises NotFoundError."""
    found = rules_of(organization_id).filter(pk=rule_id).first()
    if found is None:
        raise NotFoundError("There is no such alert rule, or it was deleted.")
    return found


def listed(
    organization_id: UUID, wanted: Wanted, *, now: dt.datetime, limit: int = PAGE
) -> tuple[list[Row], str]:
    """A page of rows, and where the next one begins ("": no more). Four queries."""
    name = wanted.sort.lstrip("-")
    column, kind = _COLUMNS[name]
    is_down = wanted.sort.startswith("-")
    rows = _chosen(_placed(rules_of(organization_id)), wanted, now)
    if wanted.after:
        value, key = decode_place(wanted.after, sort=wanted.sort, kind=kind)
        if (uid := parse_uuid(key)) is not None:
            step = "lt" if is_down else "gt"
            rows = rows.filter(
                Q(**{f"{column}__{step}": value}) | Q(**{column: value, "pk__gt": uid})
            )
    order = F(column).desc() if is_down else F(column).asc()
    page: list[Any] = list(rows.order_by(order, "pk")[: limit + 1])
    following = ""
    if len(page) > limit:
        page, last = page[:limit], page[limit - 1]
        following = encode_place(wanted.sort, getattr(last, column), str(last.pk))
    return rows_of(page, now=now), following


def _placed(rows: QuerySet[Alert]) -> QuerySet[Any]:
    """With what lists are sorted by: `rank` of the worst state, `lower` name, `fired` last."""
    states = AlertState.objects.filter(alert=OuterRef("pk")).order_by()
    ranks = [When(status=status, then=Value(_RANK[status])) for status in StateStatus.values]
    worst = states.annotate(rank=Case(*ranks, output_field=IntegerField())).order_by("rank")
    last = AlertEvent.objects.filter(alert=OuterRef("pk")).order_by("-fired_at")
    return rows.annotate(
        lower=Lower("name"),
        rank=Case(
            When(is_enabled=False, then=Value(_RANK["off"])),
            default=Coalesce(Subquery(worst.values("rank")[:1]), Value(_RANK["unknown"])),
            output_field=IntegerField(),
        ),
        fired=Coalesce(Subquery(last.values("fired_at")[:1]), Value(_NEVER)),
    )


def _chosen(rows: QuerySet[Any], wanted: Wanted, now: dt.datetime) -> QuerySet[Any]:
    if wanted.q:
        names = ("name", "model", "agent", "user_id", "tag", "environment", "score_name", "note")
        found = Q()
        for name in names:
            found |= Q(**{f"{name}__icontains": wanted.q})
        rows = rows.filter(found)
    if wanted.kind:
        rows = rows.filter(kind=wanted.kind)
    if wanted.state:
        rows = rows.filter(rank=_RANK[wanted.state])
    if wanted.project:
        uid = parse_uuid(wanted.project)
        rows = rows.filter(project_id=uid) if uid else rows.filter(project__slug=wanted.project)
    if wanted.severity:
        rows = rows.filter(levels__contains=[{"severity": wanted.severity}])
    if wanted.channel:
        told = AlertChannel.objects.filter(channel_id=wanted.channel).values("alert_id")
        rows = rows.filter(pk__in=told)
    match wanted.enabled:
        case "on" | "off":
            rows = rows.filter(is_enabled=wanted.enabled == "on")
        case "muted":
            rows = rows.filter(muted_until__gt=now)
    return rows


def rows_of(alerts: Sequence[Alert], *, now: dt.datetime) -> list[Row]:
    """Where some rules stand and whom they tell. At most four queries, none without rules."""
    ids = [one.pk for one in alerts]
    if not ids:
        return []
    worst, counts = _states(ids)
    told = _channels(ids)
    opened = _open_events(ids)
    fired = _last_fired(ids) if not hasattr(alerts[0], "fired") else {}
    found = []
    for alert in alerts:
        state = worst.get(alert.pk)
        status = "off" if not alert.is_enabled else state.status if state else "unknown"
        last = fired.get(alert.pk) or getattr(alert, "fired", None)
        firing, keys = counts.get(alert.pk, (0, 0))
        found.append(
            Row(
                alert, str(status), state, firing, keys,
                tuple(told.get((alert.pk, False), ())), tuple(told.get((alert.pk, True), ())),
                None if last == _NEVER else last, opened.get(alert.pk),
                alert.muted_until is not None and alert.muted_until > now,
            )
        )  # fmt: skip
    return found


def _states(ids: Sequence[UUID]) -> tuple[dict[UUID, AlertState], dict[UUID, tuple[int, int]]]:
    """The worst state of each rule, and how many of its keys fire. Two queries: a rule may watch a thousand budgets,
    which are counted by PostgreSQL."""
    ranks = [When(status=status, then=Value(_RANK[status])) for status in StateStatus.values]
    worst = (
        AlertState.objects.filter(alert_id__in=ids)
        .annotate(rank=Case(*ranks, output_field=IntegerField()))
        .order_by("alert_id", "rank", F("value").desc(nulls_last=True), "key")
        .distinct("alert_id")
    )
    counts = (
        AlertState.objects.filter(alert_id__in=ids)
        .order_by()
        .values("alert_id")
        .annotate(keys=Count("id"), firing=Count("id", filter=Q(status=StateStatus.FIRING)))
    )
    return (
        {one.alert_id: one for one in worst},
        {one["alert_id"]: (one["firing"], one["keys"]) for one in counts},
    )


def _channels(ids: Sequence[UUID]) -> dict[tuple[UUID, bool], list[Told]]:
    rows = AlertChannel.objects.filter(alert_id__in=ids).select_related("channel")
    found: dict[tuple[UUID, bool], list[Told]] = {}
    for one in rows.order_by("channel__name"):
        told = Told(one.channel_id, one.channel.name, one.channel.is_enabled)
        found.setdefault((one.alert_id, one.is_escalation), []).append(told)
    return found


def _open_events(ids: Sequence[UUID]) -> dict[UUID, AlertEvent]:
    """The newest open incident of each rule. One query."""
    rows = (
        AlertEvent.objects.filter(alert_id__in=ids)
        .exclude(state=EventState.RESOLVED)
        .order_by("alert_id", "-fired_at")
        .distinct("alert_id")
    )
    return {one.alert_id: one for one in rows if one.alert_id}


def _last_fired(ids: Sequence[UUID]) -> dict[UUID, dt.datetime]:
    rows = AlertEvent.objects.filter(alert_id__in=ids).order_by().values("alert_id")
    return {one["alert_id"]: one["last"] for one in rows.annotate(last=Max("fired_at"))}
