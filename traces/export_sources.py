"""Traces and steps for export; `list_exports` and `collection_exports` have the rest. Registered in apps.ready."""

from typing import Any

from django.db.models import Q, QuerySet
from django.http import QueryDict

from core.crypto import data_cipher
from projects.exports.registry import Column, Cursor, Request, Row, Source, register
from projects.models import Project
from traces.collection_exports import register_collections
from traces.contents import rows_holding, split_row
from traces.filters import TraceFilters, parse_filters
from traces.list_exports import register_lists
from traces.models import Span, Trace
from traces.payloads import read_payload
from traces.selectors import listing

# A trace with more steps than this is read by itself, page by page.
BIG_TRACE = 2_000
TRACES_AT_ONCE = 100

TRACE_COLUMNS = (
    Column("trace_id", "text"), Column("name", "text"), Column("status", "text"), Column("started_at", "time"),
    Column("ended_at", "time"), Column("duration_ms", "number"), Column("cost_usd", "decimal"),
    Column("unpriced_calls", "integer"), Column("calls", "integer"), Column("steps", "integer"),
    Column("errors", "integer"), Column("input_tokens", "integer"), Column("output_tokens", "integer"),
    Column("models", "list"), Column("providers", "list"), Column("environment", "text"), Column("release", "text"),
    Column("agent", "text"), Column("user", "text"), Column("session", "text"), Column("tags", "list"),
    Column("metadata", "json"),
)  # fmt: skip
SPAN_COLUMNS = (
    Column("trace_id", "text"), Column("span_id", "text"), Column("parent_span_id", "text"), Column("name", "text"),
    Column("kind", "text"), Column("status", "text"), Column("started_at", "time"), Column("ended_at", "time"),
    Column("duration_ms", "number"), Column("first_token_ms", "number"), Column("provider", "text"),
    Column("request_model", "text"), Column("response_model", "text"), Column("operation", "text"),
    Column("input_tokens", "integer"), Column("output_tokens", "integer"),
    Column("cache_read_input_tokens", "integer"), Column("cache_write_input_tokens", "integer"),
    Column("reasoning_output_tokens", "integer"), Column("cost_usd", "decimal"), Column("price_status", "text"),
    Column("error_type", "text"), Column("error_message", "text"), Column("finish_reason", "text"),
    Column("dialect", "text"),
)  # fmt: skip
PAYLOAD_COLUMNS = (Column("input", "json"), Column("output", "json"), Column("attributes", "json"))


def register_sources() -> None:
    """Called when the app is ready."""
    register(Source("traces", "Traces", TRACE_COLUMNS, read_traces, count_traces))
    register(Source("spans", "Steps", SPAN_COLUMNS, read_spans, count_spans, PAYLOAD_COLUMNS))
    register_lists()
    register_collections()


def _filters(request: Request) -> TraceFilters:
    """The list's filters, newest first, with relative ranges as they stood when the export was asked for."""
    params = QueryDict(request.query, mutable=True)
    for name in ("sort", "after", "before", "peek", "view"):
        params.pop(name, None)
    return parse_filters(params, now=request.now, strict=True)


def _matching(project: Project, request: Request) -> QuerySet[Trace]:
    if request.ids:
        return Trace.objects.filter(project=project, trace_id__in=request.ids)
    return listing.matching(project, _filters(request))


def count_traces(project: Project, request: Request) -> int:
    """One query."""
    return _matching(project, request).count()


def count_spans(project: Project, request: Request) -> int:
    """Unknown until they are read: the sum over all matching traces would cost as much as the export's first pages."""
    count_traces(project, request)
    return 0


def _trace_page(
    project: Project, request: Request, cursor: Cursor, limit: int
) -> tuple[list[Trace], dict[str, Any]]:
    """Traces after the cursor, and by trace id the cursor that follows it."""
    after = (cursor or {}).get("after", "")
    if request.ids:
        rows = list(
            _matching(project, request).filter(trace_id__gt=after).order_by("trace_id")[:limit]
        )
        return rows, {row.trace_id: row.trace_id for row in rows}
    filters = _filters(request)
    page = listing.trace_page(project, filters, after=after, limit=limit, with_metadata=True)
    return page.rows, {row.trace_id: listing.encode_cursor(row, filters) for row in page.rows}


def read_traces(
    project: Project, request: Request, cursor: Cursor, limit: int
) -> tuple[list[Row], Cursor]:
    """One query a page."""
    rows, places = _trace_page(project, request, cursor, limit)
    following = {"after": places[rows[-1].trace_id]} if len(rows) == limit else None
    return [_trace_row(row) for row in rows], following


def _trace_row(row: Trace) -> Row:
    return (
        row.trace_id, row.name, row.status, row.started_at, row.ended_at, row.duration_ms, row.known_cost_usd,
        row.unpriced_calls, row.call_count, row.span_count, row.error_count, row.input_tokens, row.output_tokens,
        row.model_names, row.providers, row.environment, row.release, row.agent, row.user_id, row.session_id,
        row.tags, row.metadata,
    )  # fmt: skip


def read_spans(
    project: Project, request: Request, cursor: Cursor, limit: int
) -> tuple[list[Row], Cursor]:
    """The steps of some traces, or some steps of a big one. Two queries a page, four with payloads."""
    cursor = cursor or {}
    if "trace" in cursor:
        return _rest_of_trace(project, request, cursor, limit)
    traces, places = _trace_page(project, request, cursor, TRACES_AT_ONCE)
    chosen: list[Trace] = []
    for trace in traces:
        if trace.span_count > BIG_TRACE:
            if not chosen:
                big = {"after": places[trace.trace_id], "trace": trace.trace_id}
                return _rest_of_trace(project, request, big, limit)
            break
        chosen.append(trace)
        if sum(one.span_count for one in chosen) >= limit:
            break
    if not chosen:
        return [], None
    spans = Span.objects.filter(
        project=project,
        trace_id__in=[trace.trace_id for trace in chosen],
        started_at__gte=min(trace.first_span_at for trace in chosen),
        started_at__lte=max(trace.last_span_at for trace in chosen),
    )
    rows = sorted(spans, key=lambda span: (span.trace_id, span.started_at, span.span_id))
    is_last = len(chosen) == len(traces) < TRACES_AT_ONCE
    following = None if is_last else {"after": places[chosen[-1].trace_id]}
    return _span_rows(project, request, rows), following


def _rest_of_trace(
    project: Project, request: Request, cursor: dict[str, Any], limit: int
) -> tuple[list[Row], Cursor]:
    trace = Trace.objects.filter(project=project, trace_id=cursor["trace"]).first()
    done = {"after": cursor["after"]}
    if trace is None:
        return [], done
    spans = Span.objects.filter(
        project=project,
        trace_id=trace.trace_id,
        started_at__gte=cursor.get("at", trace.first_span_at),
        started_at__lte=trace.last_span_at,
    )
    if "at" in cursor:
        spans = spans.filter(Q(started_at__gt=cursor["at"]) | Q(span_id__gt=cursor["span"]))
    rows = list(spans.order_by("started_at", "span_id")[:limit])
    if len(rows) < limit:
        return _span_rows(project, request, rows), done
    last = rows[-1]
    place = {"at": last.started_at.isoformat(), "span": last.span_id}
    return _span_rows(project, request, rows), {**cursor, **place}


def _span_rows(project: Project, request: Request, spans: list[Span]) -> list[Row]:
    contents = _contents(project, spans) if request.with_payloads else None
    names = [column.name for column in SPAN_COLUMNS]
    rows: list[Row] = []
    for span in spans:
        row = [getattr(span, name) for name in names]
        if contents is not None:
            content = contents.get((span.trace_id, span.span_id), {})
            row += [content.get(column.name) for column in PAYLOAD_COLUMNS]
        rows.append(row)
    return rows


def _contents(project: Project, spans: list[Span]) -> dict[tuple[str, str], dict[str, Any]]:
    """What was said in the steps, opened. One query. Raises DecryptionError: content is never lost silently."""
    if not spans:
        return {}
    cipher = data_cipher(project.organization.data_key)
    wanted = {(span.trace_id, span.span_id) for span in spans}
    rows = rows_holding(
        project_id=project.pk,
        trace_ids={span.trace_id for span in spans},
        span_ids=[span.span_id for span in spans],
        since=min(span.started_at for span in spans),
        until=max(span.started_at for span in spans),
    )
    return {
        (row.trace_id, span_id): read_payload(raw)
        for row in rows
        for span_id, raw in split_row(cipher, row)
        if (row.trace_id, span_id) in wanted
    }
