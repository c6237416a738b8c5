"""The step pane: what was said, what it cost, its attributes, everything raw."""

import datetime as dt
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from core.errors import NotFoundError
from core.htmx import wants_part
from projects.access import project_for
from traces import conversation, documents, lines
from traces.errors.fingerprint import Failure, fingerprint
from traces.ingest.twins import GATEWAY
from traces.media import Media, extract, said_with_media
from traces.models import Span, Trace
from traces.selectors import detail
from traces.states import MASKED, why_silent
from traces.viewer import Viewer, member_viewer
from traces.views.step_cost import cost_context
from traces.views.step_gateway import gateway_context

TABS = {
    "io": "Input / output",
    "gateway": "Gateway",
    "cost": "Cost",
    "attributes": "Attributes",
    "raw": "Raw",
}
KEPT = ("view", "scale", "only", "idle", "find", "list", "kind", "status", "q", "sort")
SEEN_SINCE = dt.timedelta(days=7)
FULL_CUT = 4 * 1024 * 1024


@login_required
@never_cache
@require_GET
def step_panel(request: HttpRequest, slug: str, trace_id: str, span_id: str) -> HttpResponse:
    """The pane of one step; without htmx the trace's page with that step open. Five queries at most."""
    return show_step(request, member_viewer(project_for(request, slug), trace_id), span_id)


def show_step(request: HttpRequest, viewer: Viewer, span_id: str) -> HttpResponse:
    """The pane of one step for any viewer."""
    if not wants_part(request):
        return redirect(viewer.url(step=span_id, tab=request.GET.get("tab", "")))
    trace = detail.trace_of(viewer.project, viewer.trace_id)
    if trace is None:
        raise NotFoundError("This trace has not arrived, or it was deleted.")
    response = render(
        request, "traces/_pane.html", {"pane": step_context(request, viewer, trace, span_id)}
    )
    response["HX-Replace-Url"] = _address(request, viewer, span_id)
    return response


def _address(request: HttpRequest, viewer: Viewer, span_id: str) -> str:
    """The page's address with this step and tab, keeping its view, scale, filter and list."""
    current = QueryDict(urlsplit(request.htmx.current_url or "").query)  # type: ignore[attr-defined]
    kept = {name: current[name] for name in KEPT if current.get(name)}
    tab = request.GET.get("tab", "")
    return viewer.url(**kept, step=span_id, tab=tab if tab in TABS and tab != "io" else "")


def tabs_for(viewer: Viewer, span: Span | None) -> dict[str, str]:
    """The pane's tabs: what was said only for those who may see it, the gateway's for its own steps."""
    if not viewer.sees_payloads:
        return {"cost": TABS["cost"]}
    is_gateways = span is not None and span.dialect == GATEWAY
    return {name: label for name, label in TABS.items() if name != "gateway" or is_gateways}


def step_context(
    request: HttpRequest, viewer: Viewer, trace: Trace, span_id: str
) -> dict[str, Any]:
    """What the pane shows. `missing` when the step is not (yet) there. Two to three queries."""
    span = detail.step_of(trace, span_id)
    tab = request.GET.get("tab", "io")
    tabs = tabs_for(viewer, span)
    tab = tab if tab in tabs else next(iter(tabs))
    if span is None:
        return {"missing": span_id, "page_url": viewer.base_url}
    if not viewer.sees_payloads:
        span.error_message = ""
    content = detail.step_content(viewer.project, span) if tab != "cost" else None
    css, icon, words = lines.KIND_LOOK.get(span.kind, lines.KIND_LOOK["span"])
    is_full = request.GET.get("full") == "1"
    return {
        "span": span,
        "css": "k-err" if span.status == "error" else css,
        "icon": icon,
        "words": words,
        "tab": tab,
        "tabs": _tab_links(viewer, span_id, tabs),
        "page_url": viewer.base_url,
        "viewer": viewer,
        "link": viewer.url(step=span_id),
        "absolute_link": request.build_absolute_uri(viewer.url(step=span_id)),
        "full_href": viewer.step_url(span_id, tab=tab, full="1"),
        "content": content,
        "similar_href": _similar(viewer, span),
        "seen": _seen(viewer, span) if span.status == "error" else None,
        "media_base": viewer.step_url(span_id, "media/"),
        "payload_base": viewer.step_url(span_id, "payload/"),
        "silent": why_silent(
            status=span.status,
            capture=viewer.project.content_capture,
            started_at=span.started_at,
            payload_days=viewer.project.payload_retention_days,
            now=timezone.now(),
        ),
        "is_masked": viewer.project.content_capture == MASKED,
        **_tab_context(tab, span, content, is_full),
    }


def _tab_links(viewer: Viewer, span_id: str, tabs: dict[str, str]) -> list[dict[str, str]]:
    return [
        {
            "key": key,
            "label": label,
            "panel": viewer.step_url(span_id, tab=key),
            "href": viewer.url(step=span_id, tab=key),
        }
        for key, label in tabs.items()
    ]


def _seen(viewer: Viewer, span: Span) -> dict[str, Any] | None:
    """In how many traces of the last seven days a step failed like this one, and where they are listed. One query."""
    if viewer.is_public:
        return None
    failure = Failure(
        error_type=span.error_type,
        message=span.error_message,
        kind=span.kind,
        name=span.name,
        model=span.response_model or span.request_model,
    )
    mark = fingerprint(failure)
    traces = detail.traces_failing_like(viewer.project, mark, since=timezone.now() - SEEN_SINCE)
    if not traces:
        return None
    try:
        href = reverse("traces:error_detail", args=[viewer.project.ref, mark])
    except NoReverseMatch:
        href = ""
    return {"traces": traces, "href": href}


def _similar(viewer: Viewer, span: Span) -> str:
    """The project's traces with a step of this name; nothing for strangers."""
    if viewer.is_public or not span.name:
        return ""
    url = reverse("traces:trace_list", kwargs={"slug": viewer.project.ref})
    return lines.with_query(url, q=span.name, range="7d")


def _tab_context(
    tab: str, span: Span, content: detail.StepContent | None, is_full: bool
) -> dict[str, Any]:
    if tab == "cost" or content is None:
        return {"cost": cost_context(span)}
    if tab == "gateway":
        return {"gateway": gateway_context(content.content)}
    budget = FULL_CUT if is_full else conversation.CUT_AT
    if tab == "io":
        return _said(content.content, budget)
    if tab == "attributes":
        attributes, is_cut = conversation.cut(content.content.get("attributes") or {}, budget)
        return {
            "facts": _facts(span),
            "attributes": attributes
            if isinstance(attributes, dict)
            else {"attributes": attributes},
            "parameters": content.content.get("parameters") or {},
            "metadata": content.content.get("metadata") or {},
            "events": conversation.cut(content.content.get("events") or [], budget)[0],
            "is_cut": is_cut,
        }
    raw, is_cut = conversation.cut(extract(documents.step_data(span, content))[0], budget)
    return {"raw": raw, "is_cut": is_cut}


def _said(content: dict[str, Any], budget: int) -> dict[str, Any]:
    """Input and output as conversations where they are some, else as text or JSON; blobs in their places."""
    both, _ = said_with_media(content)
    sides, is_cut = [], False
    for key, label, role in (("input", "Input", "user"), ("output", "Output", "assistant")):
        if key not in both:
            continue
        value, was_cut = conversation.cut(both[key], budget)
        is_cut = is_cut or was_cut
        sides.append(
            {
                "key": key,
                "label": label,
                "messages": conversation.messages_of(value, role),
                "text": value if isinstance(value, str) else "",
                "value": value,
                "media": value if isinstance(value, Media) else None,
                "is_cut": was_cut,
            }
        )
    tools, tools_cut = conversation.cut(content.get("tools"), budget)
    return {"sides": sides, "tools": tools, "is_cut": is_cut or tools_cut}


def _facts(span: Span) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = [
        ("Step id", span.span_id),
        ("Parent", span.parent_span_id),
        ("Type", span.get_kind_display()),
        ("Operation", span.operation),
        ("Provider", span.provider),
        ("Requested model", span.request_model),
        ("Answering model", span.response_model),
        ("Finish reason", span.finish_reason),
        ("Read as", span.dialect),
        ("Marks", ", ".join(span.flags)),
    ]
    return [(label, value) for label, value in rows if value]
