"""The filtered trace list as CSV."""

import csv
from collections.abc import Iterator
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from core.csv_cells import Echo, inert
from core.streaming import csv_download
from projects.access import project_for
from projects.models import Project
from traces.filters import TraceFilters, parse_filters
from traces.models import Trace
from traces.query_terms import Exact, Term
from traces.selectors import listing

CSV_CAP = 10_000
MAX_IDS = 200
CSV_COLUMNS = (
    "trace_id", "name", "status", "started_at", "duration_ms", "cost_usd", "unpriced_calls", "calls", "steps",
    "errors", "input_tokens", "output_tokens", "models", "providers", "environment", "agent", "user", "session", "tags",
)  # fmt: skip


@login_required
@never_cache
@require_GET
def trace_csv(request: HttpRequest, slug: str) -> StreamingHttpResponse:
    """The filtered list as CSV, streamed, at most 10,000 rows; the last line says so when there are more."""
    project = project_for(request, slug)
    filters = parse_filters(request.GET, now=timezone.now())
    if ids := request.GET.getlist("ids")[:MAX_IDS]:
        # Selected rows: whatever else the address says, exactly these.
        chosen = Term("id", tuple(Exact(one.replace("\x00", "")) for one in ids))
        filters = filters.with_nodes([*filters.nodes, chosen])
    stamp = timezone.now().strftime("%Y%m%d-%H%M%S")
    return csv_download(f"traces-{project.slug}-{stamp}.csv", _csv_lines(project, filters))


def _csv_lines(project: Project, filters: TraceFilters) -> Iterator[str]:
    write = csv.writer(Echo()).writerow
    yield write(CSV_COLUMNS)
    after, left = "", CSV_CAP
    while left > 0:
        page = listing.trace_page(project, filters, after=after, limit=min(500, left))
        for row in page.rows:
            yield write(_csv_row(row))
        left -= len(page.rows)
        after = page.after
        if not after:
            return
    yield write([f"Cut after {CSV_CAP:,} rows; narrow the filters or the range for the rest."])


def _csv_row(row: Trace) -> list[Any]:
    cost = "" if row.is_unpriced else f"{row.cost_usd:f}"
    values = [
        row.trace_id, row.name, row.status, row.started_at.isoformat(), row.duration_ms, cost,
        row.unpriced_calls, row.call_count, row.span_count, row.error_count, row.input_tokens, row.output_tokens,
        " ".join(row.model_names), " ".join(row.providers), row.environment, row.agent, row.user_id, row.session_id,
        " ".join(row.tags),
    ]  # fmt: skip
    return [inert(value) for value in values]
