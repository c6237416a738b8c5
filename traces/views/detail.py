"""One trace: its page, more rows, what polling reads, its JSON, and deleting it."""

import datetime as dt
import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseClientRedirect, HttpResponseClientRefresh

from accounts.models import Role
from accounts.services import record_audit_event
from core.errors import NotFoundError
from projects.access import project_for
from projects.models import Project
from traces import documents, frames, lines
from traces.bars import Scale
from traces.filters import TraceFilters, parse_filters
from traces.models import Trace
from traces.removal import delete_trace
from traces.selectors import detail
from traces.views.steps import step_context
from traces.waterfall import Layout, lay_out

RETRIES = 10
RETRY_SECONDS = 3


@login_required
@never_cache
@require_GET
def trace_detail(request: HttpRequest, slug: str, trace_id: str) -> HttpResponse:
    """`P/traces/<id>/?step=<span>`: the whole trace. Five queries besides the access check and the open step."""
    project = project_for(request, slug)
    trace = detail.trace_of(project, trace_id)
    if trace is None:
        return missing_trace(request, trace_id)
    if request.GET.get("retry") is not None and request.htmx:  # type: ignore[attr-defined]
        return HttpResponseClientRefresh()
    now = timezone.now()
    layout = lay_out(detail.steps_of(trace), now=now)
    selected = request.GET.get("step") or _first_step(layout)
    context = page_context(request, project, trace, layout, now=now, selected=selected)
    newer, older = detail.neighbours(project, trace, _list_filters(request, now))
    came_from = _list_query(request)
    context |= {
        "newer_href": _neighbour(project, newer, came_from),
        "older_href": _neighbour(project, older, came_from),
        "list_href": lines.with_query(reverse("traces:trace_list", kwargs={"slug": project.ref}))
        + (f"?{came_from}" if came_from else ""),
        "can_delete": project.role != Role.VIEWER,
    }
    context["pane"] = step_context(request, project, trace, selected) if selected else None
    return render(request, "traces/detail.html", context)


def page_context(
    request: HttpRequest,
    project: Project,
    trace: Trace,
    layout: Layout,
    *,
    now: dt.datetime,
    selected: str,
) -> dict[str, Any]:
    """What the waterfall, the facts and the cost card are drawn from."""
    scale: Scale = "cost" if request.GET.get("scale") == "cost" else "time"
    only = request.GET.get("only", "")
    only = only if only in lines.ONLY else ""
    rows = lines.chosen_rows(layout, only)
    shown = _shown(rows, selected)
    return frames.trace_context(project, trace, layout, now=now) | {
        "lines": lines.step_lines(layout, rows[:shown], scale),
        "more": _more(project, trace, rows, shown, scale, only),
        "scale": scale,
        "only": only,
        "chips": _chips(layout),
        "axis": lines.axis(layout.extent, scale),
        "selected": selected,
        "hidden_rows": len(layout.rows) - len(rows),
    }


def _chips(layout: Layout) -> list[dict[str, Any]]:
    icons = {"errors": "circle-alert", "llm": "brain", "tools": "wrench"}
    counts = lines.only_counts(layout)
    return [
        {"key": key, "label": label, "icon": icons[key], "count": counts[key]}
        for key, label in lines.ONLY.items()
    ]


def _shown(rows: list[Any], selected: str) -> int:
    """The first 300 rows; further, within reason, when the linked step lies deeper."""
    at = next((index for index, row in enumerate(rows) if row.step.span_id == selected), 0)
    return lines.FEW_ROWS if at < lines.FEW_ROWS else min(at + 50, 1_500)


def _more(
    project: Project, trace: Trace, rows: list[Any], shown: int, scale: str, only: str
) -> dict[str, Any] | None:
    if len(rows) <= shown:
        return None
    url = reverse(
        "traces:steps_panel",
        kwargs={"slug": project.ref, "trace_id": trace.trace_id},
    )
    after = rows[shown - 1].step.span_id
    return {
        "href": lines.with_query(
            url, after=after, scale=scale if scale == "cost" else "", only=only
        ),
        "next": min(lines.MORE_ROWS, len(rows) - shown),
        "left": len(rows) - shown,
    }


def _first_step(layout: Layout) -> str:
    """What is open when the address names no step: the first error, else the first row."""
    failed = next((row for row in layout.rows if row.step.is_error and not row.has_children), None)
    row = failed or (layout.rows[0] if layout.rows else None)
    return row.step.span_id if row else ""


def _list_query(request: HttpRequest) -> str:
    """The list's own state, carried through `?list=` so that J and K stay inside the reader's filters."""
    return request.GET.get("list", "")[:1500]


def _list_filters(request: HttpRequest, now: dt.datetime) -> TraceFilters | None:
    query = _list_query(request)
    return parse_filters(QueryDict(query), now=now) if query else None


def _neighbour(project: Project, trace_id: str | None, came_from: str) -> str:
    if trace_id is None:
        return ""
    url = reverse("traces:trace_detail", kwargs={"slug": project.ref, "trace_id": trace_id})
    return f"{url}?{urlencode({'list': came_from})}" if came_from else url


def missing_trace(request: HttpRequest, trace_id: str) -> HttpResponse:
    """404 that looks again by itself every 3 s for 30 s: a trace just sent may still be on its way."""
    text = request.GET.get("retry", "0")
    tried = int(text) if text.isascii() and text.isdigit() and len(text) < 3 else 0
    context = {
        "trace_id": trace_id,
        "retry_href": lines.with_query(request.path, retry=tried + 1) if tried < RETRIES else "",
        "seconds": RETRY_SECONDS,
    }
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "traces/_missing.html", context)
    return render(request, "traces/missing.html", context, status=HTTPStatus.NOT_FOUND)


def _trace_or_404(project: Project, trace_id: str) -> Trace:
    trace = detail.trace_of(project, trace_id)
    if trace is None:
        raise NotFoundError("This trace has not arrived, or it was deleted.")
    return trace


@login_required
@never_cache
@require_GET
def steps_panel(request: HttpRequest, slug: str, trace_id: str) -> HttpResponse:
    """Rows of the waterfall: the next ones `?after=<span>`, or the whole first part again."""
    project = project_for(request, slug)
    trace = _trace_or_404(project, trace_id)
    now = timezone.now()
    layout = lay_out(detail.steps_of(trace), now=now)
    selected = request.GET.get("step", "")
    context = page_context(request, project, trace, layout, now=now, selected=selected)
    after = request.GET.get("after")
    if after is None:
        return render(request, "traces/_waterfall.html", context)
    rows = lines.chosen_rows(layout, context["only"])
    at = next((index for index, row in enumerate(rows) if row.step.span_id == after), -1)
    end = at + 1 + lines.MORE_ROWS
    context |= {
        "lines": lines.step_lines(layout, rows[at + 1 : end], context["scale"]),
        "more": _more(project, trace, rows, end, context["scale"], context["only"]),
    }
    return render(request, "traces/_steps.html", context)


@login_required
@never_cache
@require_GET
def trace_changes(request: HttpRequest, slug: str, trace_id: str) -> HttpResponse:
    """`?after=<seq>` for pages without a socket: the same frame the socket sends, or 204 when nothing changed."""
    project = project_for(request, slug)
    text = request.GET.get("after", "0")
    after = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
    frame = frames.read_frame(project, trace_id, after, now=timezone.now())
    if frame is None:
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    return HttpResponse(frame.html)


@login_required
@never_cache
@require_GET
def trace_json(request: HttpRequest, slug: str, trace_id: str) -> StreamingHttpResponse:
    """The trace with its steps and what was said in them, as one JSON document, streamed."""
    project = project_for(request, slug)
    trace = _trace_or_404(project, trace_id)
    response = StreamingHttpResponse(_json_parts(project, trace), content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="trace-{_file_name(trace_id)}.json"'
    return response


def _file_name(trace_id: str) -> str:
    return "".join(c if c.isalnum() and c.isascii() else "-" for c in trace_id)[:80]


def _json_parts(project: Project, trace: Trace) -> Iterator[str]:
    head = json.dumps(documents.trace_data(trace), ensure_ascii=False)
    yield head[:-1] + ', "steps": ['
    for index, (span, content) in enumerate(detail.steps_with_content(project, trace)):
        yield (", " if index else "") + json.dumps(
            documents.step_data(span, content), ensure_ascii=False
        )
    yield "]}\n"


@login_required
@require_POST
def trace_delete(request: HttpRequest, slug: str, trace_id: str) -> HttpResponse:
    """Delete the steps and what was said in them (member+). The recorded cost stays: it is the ledger."""
    project = project_for(request, slug, Role.MEMBER)
    steps = delete_trace(project=project, trace_id=trace_id)
    record_audit_event(
        organization_id=project.organization_id,
        actor=request.user,  # type: ignore[arg-type]
        action="trace.deleted",
        target=trace_id,
        data={"project": str(project.pk), "steps": steps},
    )
    messages.success(
        request, f"Trace deleted with {steps:,} steps. Its recorded cost stays in the totals."
    )
    url = reverse("traces:trace_list", kwargs={"slug": project.ref})
    return HttpResponseClientRedirect(url) if request.htmx else redirect(url)  # type: ignore[attr-defined]


@login_required
@never_cache
@require_GET
def trace_entry(request: HttpRequest, trace_id: str) -> HttpResponse:
    """`/traces/<id>/`: the link SDKs print; finds the project among the reader's."""
    project = detail.project_of_trace(request.user, trace_id)
    if project is None:
        return missing_trace(request, trace_id)
    named = project_for(request, project.slug)
    ref = named.ref if named.pk == project.pk else str(project.pk)
    url = reverse("traces:trace_detail", kwargs={"slug": ref, "trace_id": trace_id})
    query = {name: value for name, value in request.GET.items() if name != "retry"}
    url = f"{url}?{urlencode(query)}" if query else url
    return HttpResponseClientRedirect(url) if request.htmx else redirect(url)  # type: ignore[attr-defined]
