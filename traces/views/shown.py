"""What a trace page answers, whoever looks (traces.viewer): the page, more rows, what polling reads."""

import datetime as dt
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from core.errors import NotFoundError
from traces import frames, lines
from traces.bars import Scale
from traces.models import Trace
from traces.selectors import detail
from traces.viewer import Viewer
from traces.views.steps import step_context
from traces.waterfall import Layout, lay_out


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
    """The whole page in the template `page`, with the context `more` added."""
    trace = trace or trace_or_404(viewer)
    now = timezone.now()
    layout = lay_out(detail.steps_of(trace), now=now)
    selected = request.GET.get("step") or _first_step(layout)
    context = page_context(request, viewer, trace, layout, now=now, selected=selected)
    context["pane"] = step_context(request, viewer, trace, selected) if selected else None
    return render(request, page, context | (more or {}))


def page_context(
    request: HttpRequest,
    viewer: Viewer,
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
    return frames.trace_context(viewer, trace, layout, now=now) | {
        "lines": lines.step_lines(layout, rows[:shown], scale),
        "more": _more(viewer, rows, shown, scale, only),
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
    viewer: Viewer, rows: list[Any], shown: int, scale: str, only: str
) -> dict[str, Any] | None:
    if len(rows) <= shown:
        return None
    after = rows[shown - 1].step.span_id
    return {
        "href": viewer.url("rows/", after=after, scale=scale if scale == "cost" else "", only=only),
        "next": min(lines.MORE_ROWS, len(rows) - shown),
        "left": len(rows) - shown,
    }


def _first_step(layout: Layout) -> str:
    """What is open when the address names no step: the first error, else the first row."""
    failed = next((row for row in layout.rows if row.step.is_error and not row.has_children), None)
    row = failed or (layout.rows[0] if layout.rows else None)
    return row.step.span_id if row else ""


def show_rows(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Rows of the waterfall: the next ones `?after=<span>`, or the whole first part again."""
    trace = trace_or_404(viewer)
    now = timezone.now()
    layout = lay_out(detail.steps_of(trace), now=now)
    selected = request.GET.get("step", "")
    context = page_context(request, viewer, trace, layout, now=now, selected=selected)
    after = request.GET.get("after")
    if after is None:
        return render(request, "traces/_waterfall.html", context)
    rows = lines.chosen_rows(layout, context["only"])
    at = next((index for index, row in enumerate(rows) if row.step.span_id == after), -1)
    end = at + 1 + lines.MORE_ROWS
    context |= {
        "lines": lines.step_lines(layout, rows[at + 1 : end], context["scale"]),
        "more": _more(viewer, rows, end, context["scale"], context["only"]),
    }
    return render(request, "traces/_steps.html", context)


def show_changes(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """`?after=<seq>` for pages without a socket: the same frame the socket sends, or 204 when nothing changed."""
    text = request.GET.get("after", "0")
    after = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
    frame = frames.read_frame(viewer, after, now=timezone.now())
    if frame is None:
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    return HttpResponse(frame.html)
