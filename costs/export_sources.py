"""The ledger for export (registered in apps.ready)."""

import datetime as dt
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.http import QueryDict

from costs import forms
from costs.models import CostRecord
from costs.selectors import pages
from projects.exports.registry import Column, Cursor, Request, Row, Source, register
from projects.models import Project

COLUMNS = (
    Column("record_id", "text"), Column("occurred_at", "time"), Column("trace_id", "text"),
    Column("span_id", "text"), Column("provider", "text"), Column("model", "text"),
    Column("request_model", "text"), Column("operation", "text"), Column("service_tier", "text"),
    Column("environment", "text"), Column("agent", "text"), Column("user_id", "text"),
    Column("session_id", "text"), Column("feature", "text"), Column("prompt_version", "text"),
    Column("tags", "list"), Column("is_error", "boolean"), Column("latency_ms", "number"),
    Column("first_token_ms", "number"), Column("input_tokens", "integer"), Column("output_tokens", "integer"),
    Column("cache_read_input_tokens", "integer"), Column("cache_write_input_tokens", "integer"),
    Column("reasoning_output_tokens", "integer"), Column("price_status", "text"),
    Column("unpriced_reason", "text"), Column("cost_usd", "decimal"), Column("price_source", "text"),
    Column("matched_model", "text"), Column("breakdown", "json"), Column("client_cost_usd", "decimal"),
    # What the price depended on besides these: without it an import elsewhere could not price the call the same.
    Column("usage_extra", "json"),
)  # fmt: skip


def register_sources() -> None:
    """Called when the app is ready."""
    register(Source("costs", "Cost records", COLUMNS, read_records, count_records, has_range=False))


def _query(request: Request) -> forms.LedgerQuery:
    """The query of `GET …/costs/records`; ids are not a way to name calls."""
    return forms.read_ledger_query(QueryDict(request.query), now=request.now)


def count_records(project: Project, request: Request) -> int:
    """One query over the range."""
    query = _query(request)
    return CostRecord.objects.filter(
        project=project, occurred_at__gte=query.period.start, occurred_at__lt=query.period.end
    ).count()


def read_records(
    project: Project, request: Request, cursor: Cursor, limit: int
) -> tuple[list[Row], Cursor]:
    """Newest first. One query a page."""
    query = _query(request)
    if cursor:
        place = dt.datetime.fromisoformat(cursor["at"]), UUID(cursor["id"])
        query = replace(query, after=place)
    rows = pages.ledger_page(
        project.pk,
        query.period,
        query.filters,
        trace_id=query.trace_id,
        price_status=query.price_status,
        after=query.after,
        limit=limit,
    )
    following: dict[str, Any] | None = None
    if len(rows) == limit:
        following = {"at": rows[-1].occurred_at.isoformat(), "id": str(rows[-1].pk)}
    names = [column.name for column in COLUMNS]
    for row in rows:
        row.record_id = row.key
    return [[getattr(row, name) for name in names] for row in rows], following
