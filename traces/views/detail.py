"""One trace for the project's members: its page and panels (traces.views.shown), its JSON, and deleting it."""

import datetime as dt
import json
from collections.abc import Iterator
from http import HTTPStatus
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
from core.streaming import ChunkedResponse
from projects.access import project_for
from projects.models import Project
from traces import documents, lines
from traces.filters import TraceFilters, parse_filters
from traces.models import Trace
from traces.removal import delete_trace
from traces.selectors import detail
from traces.viewer import Viewer, member_viewer
from traces.views import shown

RETRIES = 10
RETRY_SECONDS = 3


@login_required
@never_cache
@require_GET
def trace_detail(request: HttpRequest, slug: str, trace_id: str) -> HttpResponse:
    """`P/traces/<id>/?step=<span>`: the whole trace. Five queries besides the access check and the open step."""
    viewer = _viewer(request, slug, trace_id)
    project = viewer.project
    trace = detail.trace_of(project, trace_id)
    if trace is None:
        return missing_trace(request, trace_id)
    if request.GET.get("retry") is not None and request.htmx:  # type: ignore[attr-defined]
        return HttpResponseClientRefresh()
    newer, older = detail.neighbours(project, trace, _list_filters(request, timezone.now()))
    came_from = _list_query(request)
    more = {
        "newer_href": _neighbour(project, newer, came_from),
        "older_href": _neighbour(project, older, came_from),
        "list_href": reverse("traces:trace_list", kwargs={"slug": project.ref})
        + (f"?{came_from}" if came_from else ""),
        "can_delete": viewer.can_edit,
    }
    return shown.show_trace(request, viewer, trace=trace, more=more)


def _viewer(request: HttpRequest, slug: str, trace_id: str) -> Viewer:
    return member_viewer(project_for(request, slug), trace_id)


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


@login_required
@never_cache
@require_GET
def steps_panel(request: HttpRequest, slug: str, trace_id: str) -> HttpResponse:
    """Rows of the waterfall."""
    return shown.show_rows(request, _viewer(request, slug, trace_id))


@login_required
@never_cache
@require_GET
def trace_changes(request: HttpRequest, slug: str, trace_id: str) -> HttpResponse:
    """What a page without a socket lacks."""
    return shown.show_changes(request, _viewer(request, slug, trace_id))


@login_required
@never_cache
@require_GET
def find_panel(request: HttpRequest, slug: str, trace_id: str) -> HttpResponse:
    """The steps that match a text."""
    return shown.show_find(request, _viewer(request, slug, trace_id))


@login_required
@never_cache
@require_GET
def trace_json(request: HttpRequest, slug: str, trace_id: str) -> StreamingHttpResponse:
    """The trace with its steps and what was said in them, as one JSON document, streamed."""
    viewer = _viewer(request, slug, trace_id)
    project, trace = viewer.project, shown.trace_or_404(viewer)
    response = ChunkedResponse(_json_parts(project, trace), content_type="application/json")
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
