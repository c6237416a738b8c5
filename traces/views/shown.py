"""What a trace page answers, whoever looks (traces.viewer): the page with one of its views, rows, news, search."""

from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from core.errors import NotFoundError
from core.htmx import render_page_or_part, wants_part
from traces import frames
from traces.models import Trace
from traces.selectors import detail
from traces.selectors.outline import outline_of
from traces.viewer import Viewer
from traces.views import tabs, timeline
from traces.views.steps import step_context


def trace_or_404(viewer: Viewer) -> Trace:
    """The trace, or NotFoundError."""
    trace = detail.trace_of(viewer.project, viewer.trace_id)
    if trace is None:
        raise NotFoundError("This trace has not arrived, or it was deleted.")
    return trace


def show_trace(
    request: HttpRequest,
    viewer: Viewer,
    *,
    page: str = "traces/detail.html",
    trace: Trace | None = None,
    more: dict[str, Any] | None = None,
) -> HttpResponse:
    """The whole page in the template `page`, with the context `more` added; for htmx only the chosen view."""
    trace = trace or trace_or_404(viewer)
    now = timezone.now()
    tree = outline_of(trace, now=now)
    selected = request.GET.get("step") or tree.first_step
    context = frames.trace_context(viewer, trace, tree, now=now)
    context |= tabs.view_context(request, viewer, trace, tree, selected=selected)
    if not wants_part(request):
        context["pane"] = step_context(request, viewer, trace, selected) if selected else None
    return render_page_or_part(
        request, page=page, part="traces/_view.html", context=context | (more or {})
    )


def show_rows(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Rows of the waterfall: `?under=<span>&from=<n>` below a step, `?after=<span>` the next of a filtered list,
    `?step=<span>` from the top with the way to that step open; `?whole=1` the timeline with its head."""
    trace = trace_or_404(viewer)
    now = timezone.now()
    tree = outline_of(trace, now=now)
    selected = request.GET.get("step", "")
    context = {
        "viewer": viewer,
        "project": viewer.project,
        "trace": trace,
        "extent": tree.extent,
        "is_running": trace.status == "running" or tree.is_running,
        "step_base": viewer.base_url,
    } | timeline.timeline_context(request, viewer, trace, tree, selected=selected)
    is_whole = not ({"under", "after"} & set(request.GET)) and request.GET.get("part") != "steps"
    return render(request, "traces/_waterfall.html" if is_whole else "traces/_steps.html", context)


def show_changes(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """`?after=<seq>` for pages without a socket: the same frame the socket sends, or 204 when nothing changed."""
    text = request.GET.get("after", "0")
    after = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
    frame = frames.read_frame(viewer, after, now=timezone.now())
    if frame is None:
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    return HttpResponse(frame.html)


def show_find(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """`?find=<text>&deep=1`: how many steps match, and the way through them."""
    trace = trace_or_404(viewer)
    tree = outline_of(trace, now=timezone.now())
    found = timeline.find_context(request, viewer, trace, tree)
    return render(request, "traces/_find.html", found | {"viewer": viewer})
