"""An organisation's cost records, daily sums and billed lines for export."""

import datetime as dt
from dataclasses import replace
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.models import Organization
from core.errors import NotFoundError
from core.ranges import make_range
from costs import export_sources
from costs.exporting.ask import Asked, read_asked, sections
from costs.filters import SpendFilters
from costs.focus import source as focus
from costs.models import BilledCost, CostDailyAggregate, CostRecord, Dimension
from costs.selectors.pages import ledger_page
from projects.exports.registry import Column, Cursor, Request, Row, Section, Source, register
from projects.models import Project

RECORDS, DAILY, BILLED = "records", "daily", "billed"
_COUNTS = (
    "calls", "errors", "unpriced_calls", "estimated_calls", "input_tokens", "output_tokens",
    "cache_read_input_tokens", "cache_write_input_tokens", "reasoning_output_tokens",
)  # fmt: skip
_KEYS = ("hour", "provider", "model", "environment", "agent")
RECORD_COLUMNS = (Column("project", "text"), *export_sources.COLUMNS)
DAILY_COLUMNS = (
    Column("project", "text"), Column("day", "text"),
    *(Column(name, "text") for name in _KEYS[1:]),
    *(Column(name, "integer") for name in _COUNTS), Column("cost_usd", "decimal"),
)  # fmt: skip
BILLED_COLUMNS = (
    Column("day", "text"), Column("starts_at", "time"), Column("ends_at", "time"),
    Column("account", "text"), Column("source", "text"), Column("provider", "text"),
    Column("sub_account_id", "text"), Column("sub_account_name", "text"),
    Column("provider_key_id", "text"), Column("provider_key_name", "text"), Column("model", "text"),
    Column("service_tier", "text"), Column("token_class", "text"), Column("context_window", "text"),
    Column("region", "text"), Column("category", "text"), Column("description", "text"),
    Column("sku_id", "text"), Column("quantity", "amount"), Column("unit", "text"),
    Column("requests", "integer"), Column("amount", "amount"), Column("list_amount", "amount"),
    Column("currency", "text"), Column("amount_usd", "amount"), Column("is_allocated", "boolean"),
    Column("revision", "integer"), Column("natural_key", "text"), Column("fetched_at", "time"),
)  # fmt: skip
# How a schedule cuts a source into the files it sends again when something in them changed.
PARTITIONS = {focus.KIND: "month", RECORDS: "day", DAILY: "month", BILLED: "month"}


def register_sources() -> None:
    """Called when the app is ready."""
    for kind, label, columns, read, count in (
        (RECORDS, "All cost records", RECORD_COLUMNS, read_records, count_records),
        (DAILY, "Daily costs", DAILY_COLUMNS, read_daily, count_daily),
        (BILLED, "Billed costs", BILLED_COLUMNS, read_billed, count_billed),
    ):
        register(
            Source(
                kind, label, columns, read, count, is_organization=True,
                holds_persons=kind == RECORDS, sections=_sections_of(kind),
            )
        )  # fmt: skip
    register(focus.source())


def _sections_of(kind: str) -> Any:
    def sections_of(owner: Organization, request: Request) -> list[Section]:
        asked = _asked(request)
        if kind != BILLED:
            projects_of(owner.pk, asked)
        if asked.split or asked.only:
            return sections(asked, kind, asked.split or PARTITIONS[kind])
        last = asked.end - dt.timedelta(days=1)
        return [Section(f"{kind}-{asked.first}-{last}", asked.query)]

    return sections_of


def _asked(request: Request) -> Asked:
    return read_asked(request.query, now=request.now)


def projects_of(organization_id: UUID, asked: Asked) -> list[Project]:
    """The asked projects, or all, in a fixed order. Raises NotFoundError for a foreign one. One query."""
    rows = Project.objects.filter(organization_id=organization_id)
    rows = rows.exclude(status=Project.Status.DELETING)
    if asked.project_ids:
        rows = rows.filter(pk__in=asked.project_ids)
    found = list(rows.order_by("pk"))
    if len(found) < len(set(asked.project_ids)):
        raise NotFoundError("projects names one that is not in this organisation.")
    return found


def _records(owner: Organization, asked: Asked) -> QuerySet[CostRecord]:
    ids = [one.pk for one in projects_of(owner.pk, asked)]
    return CostRecord.objects.filter(
        project_id__in=ids, occurred_at__gte=asked.start_at, occurred_at__lt=asked.end_at
    )


def count_records(owner: Organization, request: Request) -> int:
    """Two queries."""
    return _records(owner, _asked(request)).count()


def read_records(
    owner: Organization, request: Request, cursor: Cursor, limit: int
) -> tuple[list[Row], Cursor]:
    """Project after project, each newest first. Two queries a page."""
    asked = _asked(request)
    projects = projects_of(owner.pk, asked)
    at = cursor or {}
    left = [one for one in projects if str(one.pk) >= at.get("project", "")]
    if not left:
        return [], None
    project, after = left[0], None
    if str(project.pk) == at.get("project") and "at" in at:
        after = dt.datetime.fromisoformat(at["at"]), UUID(at["id"])
    period = make_range(asked.start_at, asked.end_at, fields=("start", "end"))
    rows = ledger_page(project.pk, period, SpendFilters(), after=after, limit=limit)
    following: Cursor = None
    if len(rows) == limit:
        last = rows[-1]
        following = {
            "project": str(project.pk),
            "at": last.occurred_at.isoformat(),
            "id": str(last.pk),
        }
    elif len(left) > 1:
        following = {"project": str(left[1].pk)}
    for row in rows:
        row.record_id = row.key
    values = attrgetter(*(column.name for column in export_sources.COLUMNS))
    return [[project.slug, *values(row)] for row in rows], following


def _daily(owner: Organization, asked: Asked) -> QuerySet[CostDailyAggregate]:
    ids = [one.pk for one in projects_of(owner.pk, asked)]
    return CostDailyAggregate.objects.filter(
        project_id__in=ids, dimension=Dimension.ALL, hour__gte=asked.start_at,
        hour__lt=asked.end_at, calls__gt=0,
    )  # fmt: skip


def count_daily(owner: Organization, request: Request) -> int:
    """Two queries."""
    return _daily(owner, _asked(request)).count()


def read_daily(
    owner: Organization, request: Request, cursor: Cursor, limit: int
) -> tuple[list[Row], Cursor]:
    """By project, day, provider, model, environment, agent; a cost nobody knows is null. Three queries a page."""
    asked = _asked(request)
    slugs = {one.pk: one.slug for one in projects_of(owner.pk, asked)}
    rows = _daily(owner, asked)
    names = ("project_id", *_KEYS)
    if cursor:
        rows = rows.filter(_after(names, cursor["after"]))
    page = list(rows.order_by(*names)[:limit])
    following: Cursor = None
    if len(page) == limit:
        last = [str(getattr(page[-1], name)) for name in names]
        following = {"after": last}
    keys, counts = attrgetter(*_KEYS[1:]), attrgetter(*_COUNTS)
    return [
        [
            slugs[row.project_id],
            row.hour.astimezone(dt.UTC).date().isoformat(),
            *keys(row),
            *counts(row),
            None if row.unpriced_calls >= row.calls else row.cost_usd,
        ]
        for row in page
    ], following


def _after(names: tuple[str, ...], values: list[str]) -> Q:
    """Rows that come after these values in the order of these columns."""
    found = Q()
    for place, name in enumerate(names):
        same = dict(zip(names[:place], values[:place], strict=True))
        found |= Q(**same, **{f"{name}__gt": values[place]})
    return found & Q(**{f"{names[0]}__gte": values[0]})


def count_billed(owner: Organization, request: Request) -> int:
    """One query."""
    asked = _asked(request)
    return BilledCost.objects.filter(
        organization_id=owner.pk, day__gte=asked.first, day__lt=asked.end
    ).count()


def read_billed(
    owner: Organization, request: Request, cursor: Cursor, limit: int
) -> tuple[list[Row], Cursor]:
    """Lines as billed, by day. One query a page."""
    asked = replace(_asked(request), split="")
    rows = BilledCost.objects.filter(organization_id=owner.pk, day__lt=asked.end)
    rows = rows.filter(day__gte=cursor["day"] if cursor else asked.first)
    if cursor:
        rows = rows.exclude(day=cursor["day"], id__lte=cursor["id"])
    page = list(rows.select_related("account__connection").order_by("day", "id")[:limit])
    following: Cursor = None
    if len(page) == limit:
        following = {"day": page[-1].day.isoformat(), "id": page[-1].pk}
    names = [column.name for column in BILLED_COLUMNS]
    return [[_billed_value(row, name) for name in names] for row in page], following


def _billed_value(row: BilledCost, name: str) -> Any:
    if name == "account":
        return row.account.connection.name
    value = getattr(row, name)
    return value.isoformat() if name == "day" else value
