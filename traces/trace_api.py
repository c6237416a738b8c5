"""Parts of one trace for programs: its steps by subtree and page, its conversation, its graph."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api.pagination import bad_cursor, limit_of
from core.errors import DomainError, NotFoundError
from core.formats import plain_decimal
from projects.access import HasScope, project_from_api
from projects.models import Project
from traces import documents
from traces.conversation import Message, Part
from traces.graph import graph_of
from traces.models import Span, SpanKind, SpanStatus, Trace
from traces.selectors import detail
from traces.selectors.log import SORTS, log_page, parse_log_filters
from traces.selectors.outline import outline_of
from traces.selectors.transcript import transcript_page
from traces.serializers import ErrorSerializer
from traces.trace_serializers import (
    GraphSerializer,
    TraceSpanPageSerializer,
    TranscriptSerializer,
)
from traces.transcript import Turn
from traces.tree import Tree

MAX_LIMIT = 200
MAX_CALLS = 50
_ERRORS = {400: ErrorSerializer, 401: ErrorSerializer, 403: ErrorSerializer, 404: ErrorSerializer}


def _query(name: str, text: str, **more: Any) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.STR, description=text, **more)


def _limit(maximum: int, default: int) -> OpenApiParameter:
    return OpenApiParameter(
        "limit", OpenApiTypes.INT, description=f"1 to {maximum}; default {default}."
    )


_CURSOR = _query("cursor", "From `next` or `previous` of the last answer.")


def _opened(
    request: Request, project: str, trace_id: str, known: set[str]
) -> tuple[Project, Trace]:
    """The trace, after refusing parameters nobody knows."""
    found = project_from_api(request, project, "read")
    unknown = [name[:40] for name in request.query_params if name not in known][:5]
    if unknown:
        raise DomainError(
            f"{', '.join(unknown)} is not a parameter here; known are {', '.join(sorted(known))}.",
            code="invalid_filter",
            fields=unknown,
        )
    trace = detail.trace_of(found, trace_id.replace("\x00", ""))
    if trace is None:
        raise NotFoundError("There is no such trace in this project.")
    return found, trace


def _page_url(request: Request, cursor: str) -> str | None:
    if not cursor:
        return None
    params = request.query_params.copy()
    params["cursor"] = cursor
    return request.build_absolute_uri(f"{request.path}?{params.urlencode()}")


class TraceSpansView(APIView):
    """Steps of one trace."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="trace_spans_list",
        parameters=[
            _query("parent", "Only the children of this step; empty: the steps without a parent here."),
            _query("under", "Only the steps below this one, at any depth."),
            _query("kind", "Only steps of this type; may be repeated.", many=True, enum=SpanKind.values),
            _query("status", "Only steps with this status; may be repeated.", many=True, enum=SpanStatus.values),
            _query("q", "Part of a name, id, model or error."),
            _query("sort", f"{', '.join(SORTS)}; with - in front descending. Default time."),
            _limit(MAX_LIMIT, 50),
            _CURSOR,
        ],
        responses={200: TraceSpanPageSerializer, **_ERRORS},
    )  # fmt: skip
    def get(self, request: Request, project: str, trace_id: str) -> Response:
        """The steps with their subtree's sums, oldest first unless `sort` says otherwise; pages at flat latency."""
        known = {"parent", "under", "kind", "status", "q", "sort", "limit", "cursor"}
        _, trace = _opened(request, project, trace_id, known)
        limit = limit_of(request, maximum=MAX_LIMIT)
        filters = parse_log_filters(request.query_params, strict=True)
        tree = outline_of(trace, now=timezone.now())
        steps = Span.objects.all()
        if (ids := _part(tree, request.query_params)) is not None:
            steps = steps.filter(span_id__in=ids)
        token = request.query_params.get("cursor", "")
        if token and token[:2] not in ("a.", "b."):
            raise bad_cursor()
        page = log_page(
            trace,
            filters,
            after=token[2:] if token.startswith("a.") else "",
            before=token[2:] if token.startswith("b.") else "",
            limit=limit,
            steps=steps,
        )
        return Response(
            {
                "next": _page_url(request, page.after and "a." + page.after),
                "previous": _page_url(request, page.before and "b." + page.before),
                "results": [_span(tree, span) for span in page.rows],
            }
        )


def _part(tree: Tree, params: Mapping[str, Any]) -> list[str] | None:
    """The ids of the subtree asked for; None for the whole trace."""
    for name in ("parent", "under"):
        if name not in params:
            continue
        span_id = str(params[name])
        if span_id and span_id not in tree.position:
            raise NotFoundError(f"There is no step {span_id[:60]!r} in this trace.")
        place = tree.position.get(span_id, -1)
        if name == "parent":
            places = tree.children.get(place, [])
        elif place < 0:
            return None
        else:
            places = list(range(place + 1, place + 1 + tree.rows[place].descendants))
        return [tree.rows[one].step.span_id for one in places]
    return None


def _span(tree: Tree, span: Span) -> dict[str, Any]:
    row = tree.rows[tree.position[span.span_id]] if span.span_id in tree.position else None
    cost = row.subtree_cost if row else span.cost_usd
    return documents.span_data(span) | {
        "descendants": row.descendants if row else 0,
        "subtree_cost_usd": None if cost is None else plain_decimal(cost),
        "subtree_unpriced_calls": row.unpriced_below if row else 0,
    }


class TraceMessagesView(APIView):
    """The conversation of one trace."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="trace_messages_list",
        parameters=[_limit(MAX_CALLS, MAX_CALLS), _CURSOR],
        responses={200: TranscriptSerializer, **_ERRORS},
    )
    def get(self, request: Request, project: str, trace_id: str) -> Response:
        """Every message of up to `limit` model calls once, in order; repeated history is folded."""
        found, trace = _opened(request, project, trace_id, {"limit", "cursor"})
        tree = outline_of(trace, now=timezone.now())
        cursor = request.query_params.get("cursor", "")
        if cursor and cursor not in tree.position:
            raise bad_cursor()
        limit = limit_of(request, default=MAX_CALLS, maximum=MAX_CALLS)
        page = transcript_page(found, trace, tree, after=cursor, limit=limit)
        told = page.transcript
        return Response(
            {
                "next": _page_url(request, page.after),
                "first_call": page.first,
                "last_call": page.last,
                "calls": page.total,
                "without_content": [step.span_id for step in told.silent],
                "unreadable": [step.span_id for step in told.unreadable],
                "results": [_turn(turn) for turn in told.turns],
            }
        )


def _turn(turn: Turn) -> dict[str, Any]:
    message: Message = turn.message
    return {
        "role": message.role,
        "parts": [_message_part(part) for part in message.parts],
        "step": turn.step.span_id,
        "said_by": turn.said_by.span_id if turn.said_by else None,
        "sent_by": [step.span_id for step in turn.sent_by],
        "is_cut": turn.is_cut,
    }


def _message_part(part: Part) -> dict[str, Any]:
    return {
        "kind": part.kind,
        "text": part.text,
        "value": documents.plain(part.value),
        "name": part.name,
        "id": part.id,
        "media": [documents.plain(one) for one in part.media],
    }


class TraceGraphView(APIView):
    """The agent graph of one trace."""

    permission_classes = [HasScope("read")]

    @extend_schema(operation_id="trace_graph_retrieve", responses={200: GraphSerializer, **_ERRORS})
    def get(self, request: Request, project: str, trace_id: str) -> Response:
        """Agents, models and tools by name (at most 60) and the calls between them."""
        _, trace = _opened(request, project, trace_id, set())
        graph = graph_of(outline_of(trace, now=timezone.now()).rows)
        nodes = [
            {"key": n.key.replace("\x00", ""), "group": n.group, "label": n.label, "names": n.names}
            | _sums(n)
            for n in graph.nodes
        ]
        edges = [
            {"source": e.source.replace("\x00", ""), "target": e.target.replace("\x00", "")}
            | _sums(e)
            for e in graph.edges
        ]
        return Response({"nodes": nodes, "edges": edges})


def _sums(one: Any) -> dict[str, Any]:
    return {
        "calls": one.calls,
        "errors": one.errors,
        "cost_usd": None if one.cost_usd is None else plain_decimal(one.cost_usd),
        "unpriced_calls": one.unpriced,
        "duration_ms": round(one.duration_ms, 3),
    }
