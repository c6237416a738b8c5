"""Incidents of an organisation, for pages and the API."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Case, Count, IntegerField, Max, Q, QuerySet, Value, When
from django.db.models.functions import Lower, TruncDay, TruncHour, TruncWeek

from alerts.events.lists import OPEN, Asked
from alerts.models import SEVERITY_RANK, Alert, AlertEvent, EventState
from core.errors import NotFoundError
from core.keyset import keyset_page
from core.ranges import TimeRange

# Where a row stands by each order: the column and its type in a cursor.
_PLACES: dict[str, tuple[str, type]] = {
    "fired": ("fired_at", dt.datetime),
    "severity": ("rank", int),
    "urgent": ("urgency", int),
    "title": ("lower_title", str),
}
# How severe, in SQL.
RANK = Case(
    *(When(severity=name, then=Value(rank)) for name, rank in SEVERITY_RANK.items()),
    default=Value(0),
    output_field=IntegerField(),
)
# What nobody has taken stands above everything somebody has.
_URGENCY = (
    Case(
        When(state=EventState.FIRING, then=Value(len(SEVERITY_RANK))),
        default=Value(0),
        output_field=IntegerField(),
    )
    + RANK
)
MAX_RULES = 200


@dataclass(frozen=True)
class Page:
    """Some incidents, and where the next begin (empty: nowhere)."""

    rows: Sequence[AlertEvent]
    after: str


def events_of(organization_id: UUID) -> QuerySet[AlertEvent]:
    """Incidents of the organisation with what rows show of them."""
    return AlertEvent.objects.filter(organization_id=organization_id).select_related(
        "project", "acknowledged_by", "alert"
    )


def narrowed(rows: QuerySet[AlertEvent], asked: Asked) -> QuerySet[AlertEvent]:
    """What is asked for, in no order."""
    if asked.state == OPEN:
        rows = rows.exclude(state=EventState.RESOLVED)
    elif asked.state:
        rows = rows.filter(state=asked.state)
    if asked.range:
        rows = rows.filter(fired_at__gte=asked.range.start, fired_at__lt=asked.range.end)
    exact = {
        "severity": asked.severity,
        "kind": asked.kind,
        "project_id": asked.project_id,
        "alert_id": asked.alert_id,
    }
    rows = rows.filter(**{name: value for name, value in exact.items() if value})
    if asked.q:
        rows = rows.filter(
            Q(title__icontains=asked.q)
            | Q(name__icontains=asked.q)
            | Q(subject__icontains=asked.q)
            | Q(words__icontains=asked.q)
        )
    return rows


def events_page(rows: QuerySet[AlertEvent], asked: Asked, *, limit: int) -> Page:
    """The incidents asked for, in order, by keyset. One query."""
    column, kind = _PLACES[asked.sort.lstrip("-")]
    found = narrowed(rows, asked).defer("evidence")
    found = found.annotate(rank=RANK, urgency=_URGENCY, lower_title=Lower("title"))
    page, after = keyset_page(
        found, sort=asked.sort, column=column, kind=kind, after=asked.after, limit=limit
    )
    return Page(page, after)


def event_of(organization_id: UUID, event_id: UUID) -> AlertEvent:
    """One incident. One query. Raises NotFoundError."""
    event = events_of(organization_id).filter(pk=event_id).first()
    if event is None:
        raise NotFoundError("There is no such incident; open it from Firing or History.")
    return event


def fresh(event: AlertEvent) -> AlertEvent:
    """The incident as it is now. One query."""
    rows = AlertEvent.objects.filter(pk=event.pk, organization=event.organization_id)
    return rows.select_related("project", "acknowledged_by", "alert").get()


@dataclass(frozen=True)
class Standing:
    """How an organisation stands: open incidents by state, and the last that ended."""

    firing: int
    acknowledged: int
    snoozed: int
    quiet_since: dt.datetime | None

    @property
    def open(self) -> int:
        return self.firing + self.acknowledged + self.snoozed


def standing_of(organization_id: UUID) -> Standing:
    """Counts of what is open; with nothing open, since when. At most two queries."""
    rows = AlertEvent.objects.filter(organization_id=organization_id)
    states = dict(
        rows.exclude(state=EventState.RESOLVED).values_list("state").annotate(Count("pk"))
    )
    quiet: Any = None
    if not states:
        quiet = rows.aggregate(at=Max("resolved_at"))["at"]
    return Standing(
        states.get(EventState.FIRING, 0),
        states.get(EventState.ACKNOWLEDGED, 0),
        states.get(EventState.SNOOZED, 0),
        quiet,
    )


def rules_of(organization_id: UUID) -> list[Alert]:
    """Rules to choose from, by name: at most MAX_RULES. One query."""
    rows = Alert.objects.filter(organization_id=organization_id)
    return list(rows.only("id", "name", "is_enabled").order_by(Lower("name"), "pk")[:MAX_RULES])


def watching(organization_id: UUID) -> int:
    """How many rules are switched on. One query."""
    return Alert.objects.filter(organization_id=organization_id, is_enabled=True).count()


def counts_per_bin(
    organization_id: UUID, asked: Asked, period: TimeRange
) -> dict[tuple[dt.datetime, str], int]:
    """How many incidents began in each bin of the period, by the bin's start and severity. One query."""
    cut = {"hour": TruncHour, "day": TruncDay, "week": TruncWeek}[period.bin]
    rows = narrowed(AlertEvent.objects.filter(organization_id=organization_id), asked)
    found = rows.values_list(cut("fired_at", tzinfo=dt.UTC), "severity").annotate(Count("pk"))
    return {(at, severity): number for at, severity, number in found}
