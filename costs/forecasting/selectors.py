"""What is kept of forecasts and anomalies, for pages, the API and other parts of costs."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Q, QuerySet, Sum

from core.cursors import InvalidCursorError, decode_place, encode_place
from core.errors import DomainError, NotFoundError
from core.models import Job
from costs.forecasting.series import DAY, DailySeries, Name, project_ids_of
from costs.models import (
    AnomalyState,
    CostDailyAggregate,
    Dimension,
    ForecastRun,
    SeriesKind,
    SpendAnomaly,
    SpendForecast,
)

FORECAST_SORTS = ("-expected", "expected", "-actual", "actual", "-error", "error", "name", "-name")
ANOMALY_SORTS = ("-day", "day", "-excess", "excess", "-score", "score")
_COLUMNS = {"day": "day", "excess": "excess_usd", "score": "score"}
NOTHING = Decimal(-1)


@dataclass(frozen=True)
class Asked:
    """What a list is narrowed by and how it is ordered; every part was checked by who made it."""

    kind: str = ""
    project_id: UUID | None = None
    q: str = ""
    state: str = ""
    sort: str = ""
    after: str = ""


@dataclass(frozen=True)
class Page:
    """Some rows of a list, and where the next begin (empty: nowhere)."""

    rows: Sequence[Any]
    after: str


def forecast_for(
    organization_id: UUID,
    *,
    month: dt.date,
    kind: str = SeriesKind.TOTAL,
    value: str = "",
    project_id: UUID | None = None,
) -> SpendForecast | None:
    """The forecast of one series for the month of a day, or None when none was made. One query.

    `expected_usd` is None where the history did not allow one; `reason` says why.
    """
    found = SpendForecast.objects.filter(
        organization_id=organization_id, month=month.replace(day=1), kind=kind, value=value
    )
    of_project = Q(project=None) if project_id is None else Q(project_id=project_id)
    return found.filter(of_project).first()


def forecast_of(organization_id: UUID, forecast_id: UUID) -> SpendForecast:
    """One forecast. One query. Raises NotFoundError."""
    row = (
        SpendForecast.objects.filter(organization_id=organization_id, pk=forecast_id)
        .select_related("project")
        .first()
    )
    if row is None:
        raise NotFoundError("There is no such forecast; open it from the list of this month.")
    return row


def forecasts_page(organization_id: UUID, asked: Asked, *, month: dt.date, limit: int) -> Page:
    """Forecasts of a month, in the order asked for. One query; a month has a few hundred rows at most."""
    rows = SpendForecast.objects.filter(
        organization_id=organization_id, month=month.replace(day=1)
    ).select_related("project")
    rows = _narrowed(rows, asked).defer("path")
    sort = asked.sort or "-expected"
    is_down, key = sort.startswith("-"), sort.lstrip("-")
    listed = sorted(((_place(row, key), str(row.pk), row) for row in rows), key=lambda one: one[:2])
    if is_down:
        listed.reverse()
    if asked.after:
        mark = decode_place(asked.after, sort=sort, kind=str if key == "name" else Decimal)
        listed = [one for one in listed if (one[:2] < mark if is_down else one[:2] > mark)]
    shown = listed[:limit]
    more = encode_place(sort, *shown[-1][:2]) if len(listed) > limit else ""
    return Page([row for *_, row in shown], more)


def _place(row: SpendForecast, key: str) -> Any:
    """Where a row stands in an order; what is unknown below everything."""
    if key == "name":
        return f"{row.label or row.value}\x01{row.project.name if row.project else ''}".casefold()
    value = {"expected": row.expected_usd, "actual": row.actual_usd, "error": row.error_share}[key]
    return NOTHING if value is None else value


def _narrowed(rows: QuerySet[Any], asked: Asked) -> QuerySet[Any]:
    if asked.kind:
        rows = rows.filter(kind=asked.kind)
    if asked.project_id:
        rows = rows.filter(project_id=asked.project_id)
    if asked.q:
        rows = rows.filter(
            Q(value__icontains=asked.q)
            | Q(label__icontains=asked.q)
            | Q(project__name__icontains=asked.q)
        )
    return rows


def anomalies_page(organization_id: UUID, asked: Asked, *, limit: int) -> Page:
    """Anomalies in the order asked for; without a state those that are open or expected. One query."""
    rows = _narrowed(SpendAnomaly.objects.filter(organization_id=organization_id), asked)
    rows = rows.select_related("project", "marked_by")
    if asked.state != "all":
        rows = rows.filter(state=asked.state or AnomalyState.OPEN)
    sort = asked.sort or "-day"
    column = _COLUMNS[sort.lstrip("-")]
    sign = "-" if sort.startswith("-") else ""
    if asked.after:
        value, key = _anomaly_place(asked.after, sort)
        beyond = "lt" if sign else "gt"
        rows = rows.filter(
            Q(**{f"{column}__{beyond}": value}) | Q(**{column: value, f"pk__{beyond}": key})
        )
    found = list(rows.order_by(f"{sign}{column}", f"{sign}pk")[: limit + 1])
    if len(found) <= limit:
        return Page(found, "")
    last = found[limit - 1]
    value = getattr(last, column)
    shown = value.isoformat() if column == "day" else value
    return Page(found[:limit], encode_place(sort, shown, str(last.pk)))


def _anomaly_place(token: str, sort: str) -> tuple[Any, UUID]:
    is_day = sort.endswith("day")
    value, key = decode_place(token, sort=sort, kind=str if is_day else Decimal)
    try:
        return (dt.date.fromisoformat(value) if is_day else value), UUID(key)
    except ValueError:
        raise InvalidCursorError(
            "The page cursor is not one this server gave out; start from the first page.",
            fields=["after"],
        ) from None


def anomaly_of(organization_id: UUID, anomaly_id: UUID) -> SpendAnomaly:
    """One anomaly. One query. Raises NotFoundError."""
    row = (
        SpendAnomaly.objects.filter(organization_id=organization_id, pk=anomaly_id)
        .select_related("project", "marked_by")
        .first()
    )
    if row is None:
        raise NotFoundError("There is no such anomaly; open it from the list.")
    return row


def open_anomalies(organization_id: UUID) -> int:
    """How many wait for somebody. One query."""
    return SpendAnomaly.objects.filter(
        organization_id=organization_id, state=AnomalyState.OPEN
    ).count()


def last_run(organization_id: UUID) -> ForecastRun | None:
    """When forecasts were last made. One query."""
    return ForecastRun.objects.filter(organization_id=organization_id).first()


def open_job(organization_id: UUID, kind: str) -> Job | None:
    """The job that makes them now. One query."""
    states = (Job.State.QUEUED, Job.State.RUNNING)
    return Job.objects.filter(kind=kind, organization_id=organization_id, state__in=states).first()


def days_of(name: Name, organization_id: UUID, first: dt.date, end: dt.date) -> DailySeries:
    """What a series of the ledger cost per day, `end` excluded. Two queries, one for a series of a project."""
    rows = _calls_of(name, organization_id, first, end)
    found = rows.values(day=F("hour__date")).annotate(cost=Sum("cost_usd"))
    return DailySeries(name, {row["day"]: row["cost"] for row in found})


def unpriced_calls(name: Name, organization_id: UUID, first: dt.date, end: dt.date) -> int:
    """Calls of a series that no forecast counts, because nothing is known about their price. As `days_of`."""
    rows = _calls_of(name, organization_id, first, end)
    return int(rows.aggregate(found=Sum("unpriced_calls"))["found"] or 0)


def _calls_of(
    name: Name, organization_id: UUID, first: dt.date, end: dt.date
) -> QuerySet[CostDailyAggregate]:
    if name.kind == SeriesKind.BUDGET:
        raise DomainError("What a budget counts is read from the budget.")
    projects = [name.project_id] if name.project_id else project_ids_of(organization_id)
    rows = CostDailyAggregate.objects.filter(
        project_id__in=projects,
        dimension=Dimension.ALL.value,
        hour__gte=dt.datetime.combine(first, dt.time(), dt.UTC),
        hour__lt=dt.datetime.combine(end, dt.time(), dt.UTC),
    )
    return rows if name.kind == SeriesKind.TOTAL else rows.filter(**{name.kind: name.value})


def state_counts(organization_id: UUID) -> dict[str, int]:
    """How many anomalies are in each state. One query."""
    rows = SpendAnomaly.objects.filter(organization_id=organization_id)
    return dict(rows.values_list("state").annotate(Count("pk")))


def month_before(day: dt.date) -> dt.date:
    """The first day of the month before a day's."""
    return (day.replace(day=1) - DAY).replace(day=1)
