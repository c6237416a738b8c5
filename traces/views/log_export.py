"""The log of one trace as CSV."""

import csv
from collections.abc import Iterator
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, StreamingHttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from core.csv_cells import Echo, inert
from core.errors import NotFoundError
from core.streaming import csv_download
from projects.access import project_for
from traces.models import Span, Trace
from traces.selectors import detail
from traces.selectors.log import LogFilters, log_rows, parse_log_filters

COLUMNS = (
    "started_at", "step", "id", "parent", "type", "status", "duration_ms", "provider", "model", "input_tokens",
    "output_tokens", "cost_usd", "price_status", "error_type",
)  # fmt: skip


@login_required
@never_cache
@require_GET
def log_csv(request: HttpRequest, slug: str, trace_id: str) -> StreamingHttpResponse:
    """The filtered log, streamed in its order."""
    trace = detail.trace_of(project_for(request, slug), trace_id)
    if trace is None:
        raise NotFoundError("This trace has not arrived, or it was deleted.")
    lines = _lines(trace, parse_log_filters(request.GET))
    name = "".join(c if c.isalnum() and c.isascii() else "-" for c in trace_id)[:80]
    return csv_download(f"trace-{name}-log.csv", lines)


def _lines(trace: Trace, filters: LogFilters) -> Iterator[str]:
    write = csv.writer(Echo()).writerow
    yield write(COLUMNS)
    for span in log_rows(trace, filters, sees_payloads=True):
        yield write([inert(value) for value in _values(span)])


def _values(span: Span) -> list[Any]:
    return [
        span.started_at.isoformat(), span.name, span.span_id, span.parent_span_id, span.kind, span.status,
        span.duration_ms, span.provider, span.response_model or span.request_model, span.input_tokens,
        span.output_tokens, "" if span.cost_usd is None else f"{span.cost_usd:f}", span.price_status, span.error_type,
    ]  # fmt: skip
