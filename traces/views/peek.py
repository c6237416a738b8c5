"""The peek: a light look at one trace beside the list."""

from typing import Any
from urllib.parse import quote

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from projects.access import project_for
from projects.models import Project
from traces import lines
from traces.filters import TraceFilters, parse_filters
from traces.selectors import detail, listing
from traces.tree import Drawn
from traces.waterfall import lay_out

PEEK_ROWS = 60
HUGE = 2_000


def peek_context(
    project: Project, trace_id: str, filters: TraceFilters, base: str, kept: dict[str, object]
) -> dict[str, Any]:
    """Facts and the first 60 steps. Two queries; `trace` is None when it is not there."""
    trace = detail.trace_of(project, trace_id.replace("\x00", ""))
    found: dict[str, Any] = {
        "trace_id": trace_id,
        "trace": trace,
        "project": project,
        "close_href": f"{base}?{filters.query(**kept)}",
    }
    if trace is None:
        return found
    # A huge trace is for its own page, which reads it bit by bit.
    is_huge = trace.span_count > HUGE
    layout = lay_out([] if is_huge else detail.steps_of(trace), now=timezone.now())
    drawn = [Drawn(row, is_open=True) for row in layout.rows[:PEEK_ROWS]]
    url = reverse("traces:trace_detail", kwargs={"slug": project.ref, "trace_id": trace.trace_id})
    return found | {
        "lines": lines.step_lines(drawn, layout.extent, "time"),
        "more_steps": max(trace.span_count - len(drawn), 0),
        "step_count": trace.span_count,
        "preview": listing.previews(project, [trace])[trace.trace_id],
        "tokens": trace.input_tokens + trace.output_tokens,
        "href": lines.with_query(url, list=filters.query() if filters.is_narrowed else ""),
        "url": url,
    }


@login_required
@never_cache
@require_GET
def peek_panel(request: HttpRequest, slug: str, trace_id: str) -> HttpResponse:
    """The panel; the address of the page then names it, so a reload or a shared link shows it again."""
    project = project_for(request, slug)
    filters = parse_filters(request.GET, now=timezone.now())
    base = reverse("traces:trace_list", kwargs={"slug": project.ref})
    kept: dict[str, object] = {"view": request.GET.get("view", "")[:36] or None}
    context = peek_context(project, trace_id, filters, base, kept)
    response = render(request, "traces/_list_peek.html", {"peek": context, "project": project})
    here = f"{base}?{filters.query(**kept)}&peek={quote(trace_id, safe='')}"
    response["HX-Replace-Url" if request.GET.get("walk") else "HX-Push-Url"] = here
    return response
