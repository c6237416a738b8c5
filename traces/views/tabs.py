"""The views of a trace, chosen by `?view=`: timeline, messages, log, graph."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.utils import timezone

from core import formats
from traces import lines
from traces.conversation import Message
from traces.graph import GROUP_WORDS, NODE_HEIGHT, NODE_WIDTH, Edge, Graph, Node, graph_of
from traces.models import Span, SpanKind, SpanStatus, Trace
from traces.selectors.log import LogFilters, log_page, parse_log_filters
from traces.selectors.transcript import transcript_page
from traces.states import why_silent
from traces.transcript import Turn
from traces.tree import Tree
from traces.viewer import Viewer
from traces.views import timeline
from traces.waterfall import StepFacts

VIEWS = {
    "timeline": ("Timeline", "chart-gantt"),
    "messages": ("Messages", "messages-square"),
    "log": ("Log", "scroll-text"),
    "graph": ("Graph", "route"),
}
FEW_SENDERS = 12
BAD_SHARE = 0.05  # of the calls failed: then a name or a connection is red
_KEPT = ("list", "step")


def view_context(
    request: HttpRequest, viewer: Viewer, trace: Trace, tree: Tree, *, selected: str
) -> dict[str, Any]:
    """The chosen view and the way to the others."""
    view = request.GET.get("view", "timeline")
    view = view if view in VIEWS and (view != "messages" or viewer.sees_payloads) else "timeline"
    kept = {name: request.GET.get(name, "") for name in _KEPT}
    context: dict[str, Any] = {
        "view": view,
        "views": [
            {
                "key": key,
                "label": label,
                "icon": icon,
                "href": viewer.url(view=key if key != "timeline" else "", **kept),
            }
            for key, (label, icon) in VIEWS.items()
            if key != "messages" or viewer.sees_payloads
        ],
        "selected": selected,
    }
    if view == "messages":
        return context | messages_context(request, viewer, trace, tree)
    if view == "log":
        return context | log_context(request, viewer, trace)
    if view == "graph":
        return context | graph_context(viewer, tree)
    return context | timeline.timeline_context(request, viewer, trace, tree, selected=selected)


@dataclass(frozen=True)
class TurnLine:
    """One message of the conversation, ready to place."""

    turn: Turn
    message: Message
    links: list[tuple[str, str]]  # (name, step id) of the calls that sent it
    more_senders: int
    media_base: str
    said: str  # model, cost and duration of the call that answered

    @property
    def text_id(self) -> str:
        return f"#turn-text-{self.turn.number}"


def messages_context(
    request: HttpRequest, viewer: Viewer, trace: Trace, tree: Tree
) -> dict[str, Any]:
    """The conversation, fifty calls at a time. Two queries."""
    page = transcript_page(viewer.project, trace, tree, after=request.GET.get("after", ""))
    url = {"view": "messages", "list": request.GET.get("list", "")}
    heading, text = why_silent(
        status=trace.status,
        capture=viewer.project.content_capture,
        started_at=trace.started_at,
        payload_days=viewer.project.payload_retention_days,
        now=timezone.now(),
    )
    return {
        "page": page,
        "turns": [_turn_line(viewer, turn) for turn in page.transcript.turns],
        "next_href": viewer.url(**url, after=page.after) if page.after else "",
        "previous_href": viewer.url(**url, after=page.previous)
        if page.previous is not None
        else "",
        "silent_heading": heading,
        "silent_text": text,
        "is_masked": viewer.project.content_capture == "masked",
    }


def _turn_line(viewer: Viewer, turn: Turn) -> TurnLine:
    by = turn.said_by
    return TurnLine(
        turn=turn,
        message=turn.message,
        links=[(_step_name(step), step.span_id) for step in turn.sent_by[:FEW_SENDERS]],
        more_senders=max(len(turn.sent_by) - FEW_SENDERS, 0),
        media_base=viewer.step_url(turn.step.span_id, "media/"),
        said=_said(by) if by else "",
    )


def _step_name(step: StepFacts) -> str:
    return step.name or lines.KIND_LOOK.get(step.kind, lines.KIND_LOOK["span"])[2]


def _said(step: StepFacts) -> str:
    parts = [_step_name(step), step.model]
    if step.has_cost_record:
        parts.append("Unpriced" if step.cost_usd is None else formats.money(step.cost_usd))
    if step.ended_at:
        length = (step.ended_at - step.started_at).total_seconds() * 1000
        parts.append(formats.duration(max(length, 0.0)))
    return " · ".join(part for part in parts if part)


@dataclass(frozen=True)
class LogLine:
    """One row of the log."""

    span: Span
    css: str
    icon: str
    words: str


def log_context(request: HttpRequest, viewer: Viewer, trace: Trace) -> dict[str, Any]:
    """The flat table. One query."""
    filters = parse_log_filters(request.GET)
    page = log_page(
        trace,
        filters,
        after=request.GET.get("after", ""),
        before=request.GET.get("before", ""),
        sees_payloads=viewer.sees_payloads,
    )
    return {
        "log": [_log_line(span) for span in page.rows],
        "filters": filters,
        "log_after": page.after,
        "log_before": page.before,
        "kinds": [(value, label, value in filters.kinds) for value, label in SpanKind.choices],
        "statuses": [
            (value, label, value in filters.statuses) for value, label in SpanStatus.choices
        ],
        "csv_href": "" if viewer.is_public else viewer.url("log.csv") + _query(filters),
        "origin": trace.started_at,
    }


def _query(filters: LogFilters) -> str:
    pairs = [("kind", kind) for kind in filters.kinds]
    pairs += [("status", status) for status in filters.statuses]
    pairs += [("q", filters.text)] if filters.text else []
    pairs += [("sort", filters.sort)] if filters.sort != "time" else []
    return "?" + urlencode(pairs) if pairs else ""


def _log_line(span: Span) -> LogLine:
    css, icon, words = lines.KIND_LOOK.get(span.kind, lines.KIND_LOOK["span"])
    return LogLine(span, "k-err" if span.status == "error" else css, icon, words)


@dataclass(frozen=True)
class NodeBox:
    """A node, ready to draw."""

    node: Node
    css: str
    icon: str
    short: str
    note: str
    title: str
    href: str


@dataclass(frozen=True)
class EdgeLine:
    """An edge, ready to draw."""

    edge: Edge
    path: str
    css: str
    label: str
    x: int
    y: int
    title: str
    source: str
    target: str


def graph_context(viewer: Viewer, tree: Tree) -> dict[str, Any]:
    """The agent graph and the same as a table. No query."""
    graph = graph_of(tree.rows)
    boxes = {node.key: _box(viewer, node) for node in graph.nodes}
    return {
        "graph": graph,
        "boxes": list(boxes.values()),
        "graph_edges": [_edge_line(edge, graph, boxes) for edge in graph.edges],
        "node_width": NODE_WIDTH,
        "node_height": NODE_HEIGHT,
    }


def _box(viewer: Viewer, node: Node) -> NodeBox:
    css, icon, _ = lines.KIND_LOOK.get(node.kind, lines.KIND_LOOK["span"])
    cost = _amount(node.cost_usd, node.unpriced)
    note = " · ".join(part for part in (_times(node.calls), cost) if part)
    return NodeBox(
        node=node,
        css="k-err" if node.errors and node.errors >= node.calls * BAD_SHARE else css,
        icon=icon,
        short=node.label if len(node.label) <= 20 else node.label[:19] + "…",
        note=note,
        title=f"{GROUP_WORDS[node.group]} {node.label}: {note}"
        + (f", {node.errors:,} failed" if node.errors else ""),
        href=viewer.url(view="log", q=node.label) if node.names == 1 else viewer.url(view="log"),
    )


def _times(calls: int) -> str:
    return f"{calls:,}×"


def _amount(cost: Any, unpriced: int) -> str:
    if cost is None:
        return "Unpriced" if unpriced else ""
    return formats.money(cost) + (f" + {unpriced:,} unpriced" if unpriced else "")


def _edge_line(edge: Edge, graph: Graph, boxes: dict[str, NodeBox]) -> EdgeLine:
    source, target = boxes[edge.source].node, boxes[edge.target].node
    half = NODE_HEIGHT // 2
    x1, y1 = source.x + NODE_WIDTH, source.y + half
    x2, y2 = target.x, target.y + half
    if edge.source == edge.target:
        x = source.x + NODE_WIDTH // 2
        path = f"M{x - 20} {source.y}C{x - 24} {source.y - 16} {x + 24} {source.y - 16} {x + 20} {source.y}"
        middle = (x, source.y - 6)
    elif x2 > x1:
        bend = max((x2 - x1) // 2, 24)
        path = f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
        middle = ((x1 + x2) // 2, (y1 + y2) // 2 - 3)
    else:  # back to an earlier layer, or within one
        low = max(source.y, target.y) + NODE_HEIGHT + 8
        path = f"M{x1} {y1}C{x1 + 40} {low} {x2 - 40} {low} {x2} {y2}"
        middle = ((x1 + x2) // 2, min(low, graph.height - 4))
    cost = _amount(edge.cost_usd, edge.unpriced)
    failed = f", {edge.errors:,} failed" if edge.errors else ""
    names = (boxes[edge.source].node.label, boxes[edge.target].node.label)
    return EdgeLine(
        edge=edge,
        path=path,
        css="ge bad" if edge.errors and edge.errors >= edge.calls * BAD_SHARE else "ge",
        label=_times(edge.calls),
        x=middle[0],
        y=middle[1],
        title=f"{names[0]} calls {names[1]} {edge.calls:,} times"
        + (f", {cost}" if cost else "")
        + failed,
        source=names[0],
        target=names[1],
    )
