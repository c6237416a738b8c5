"""The step pane: what was said, what it cost, its attributes, everything raw."""

from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from core.errors import NotFoundError
from core.htmx import wants_part
from costs.models import CostRecord
from projects.access import project_for
from traces import conversation, documents, lines
from traces.models import Span, Trace
from traces.selectors import detail
from traces.viewer import Viewer, member_viewer

TABS = {"io": "Input / output", "cost": "Cost", "attributes": "Attributes", "raw": "Raw"}
KEPT = ("view", "scale", "only", "idle", "find", "list", "kind", "status", "q", "sort")
FULL_CUT = 4 * 1024 * 1024
UNPRICED_REASONS = {
    "no_usage": "The step reported no token counts, so there is nothing to price.",
    "no_model": "The step does not say which model answered.",
    "unknown_model": "No price is known for this model.",
    "unknown_provider": "No price is known for this provider.",
    "self_hosted": "The model runs on your own machines; its cost is not a price per token.",
    "no_price": "The price list names the model, but no price for what was used.",
    "inconsistent_usage": "The token counts contradict each other: a part is larger than its whole.",
    "out_of_range": "The amount is too large to be real.",
}
CLASS_WORDS = {
    "input": "Input", "output": "Output", "cache_read": "Cached input", "cache_write": "Cache write",
    "cache_write_5m": "Cache write (5 min)", "cache_write_1h": "Cache write (1 h)", "reasoning": "Reasoning",
    "input_audio": "Audio input", "output_audio": "Audio output", "input_image": "Image input",
    "output_image": "Image output", "cache_read_audio": "Cached audio", "cache_read_image": "Cached images",
    "web_search": "Web searches", "request": "Requests",
}  # fmt: skip
COUNTED_APART = frozenset({"web_search", "request"})


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


def tabs_for(viewer: Viewer) -> dict[str, str]:
    """The pane's tabs: what was said only for those who may see it."""
    return TABS if viewer.sees_payloads else {"cost": TABS["cost"]}


def step_context(
    request: HttpRequest, viewer: Viewer, trace: Trace, span_id: str
) -> dict[str, Any]:
    """What the pane shows. `missing` when the step is not (yet) there. Two to three queries."""
    span = detail.step_of(trace, span_id)
    tab = request.GET.get("tab", "io")
    tabs = tabs_for(viewer)
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
        "viewer": viewer,
        "icon": icon,
        "words": words,
        "tab": tab,
        "tabs": [
            {
                "key": key,
                "label": label,
                "panel": viewer.step_url(span_id, tab=key),
                "href": viewer.url(step=span_id, tab=key),
            }
            for key, label in tabs.items()
        ],
        "page_url": viewer.base_url,
        "link": viewer.url(step=span_id),
        "absolute_link": request.build_absolute_uri(viewer.url(step=span_id)),
        "full_href": viewer.step_url(span_id, tab=tab, full="1"),
        "content": content,
        "similar_href": _similar(viewer, span),
        **_tab_context(tab, span, content, is_full),
    }


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
    raw, is_cut = conversation.cut(documents.step_data(span, content), budget)
    return {"raw": raw, "is_cut": is_cut}


def _said(content: dict[str, Any], budget: int) -> dict[str, Any]:
    """Input and output as conversations where they are some, else as text or JSON."""
    sides, is_cut = [], False
    for key, label, role in (("input", "Input", "user"), ("output", "Output", "assistant")):
        if key not in content:
            continue
        value, was_cut = conversation.cut(content[key], budget)
        is_cut = is_cut or was_cut
        value = conversation.parsed(value)
        sides.append(
            {
                "key": key,
                "label": label,
                "messages": conversation.messages_of(value, role),
                "text": value if isinstance(value, str) else "",
                "value": value,
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


def cost_context(span: Span) -> dict[str, Any]:
    """The cost tab: token classes with the unit price that was used, its source, and why something has no price."""
    record = detail.cost_record_of(span)
    if record is None:
        return {"record": None, "is_wrapper": span.has_cost_below}
    return {
        "record": record,
        "classes": _classes(record),
        "reason": UNPRICED_REASONS.get(record.unpriced_reason, record.unpriced_reason),
        "flags": record.flags,
    }


def _classes(record: CostRecord) -> list[dict[str, Any]]:
    rows = []
    for item in record.breakdown if isinstance(record.breakdown, list) else []:
        name = str(item.get("class", ""))
        unit = Decimal(str(item.get("unit_price_usd", "0")))
        rows.append(
            {
                "label": CLASS_WORDS.get(name, name.replace("_", " ").capitalize()),
                "quantity": Decimal(str(item.get("quantity", "0"))),
                "unit": unit if name in COUNTED_APART else unit * 1_000_000,
                "per": "each" if name in COUNTED_APART else "per 1M tokens",
                "cost_usd": Decimal(str(item.get("cost_usd", "0"))),
            }
        )
    return rows
