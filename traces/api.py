"""Traces and steps for programs. POST on the trace list is the ingestion door (traces.doors)."""

import base64
import binascii
import datetime as dt
import json
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api.pagination import bad_cursor, limit_of
from core.cursors import InvalidCursorError
from core.errors import DomainError, NotFoundError
from core.ranges import parse_range
from projects.access import HasScope, project_from_api
from projects.models import Project
from traces import documents
from traces.filters import (
    DEFAULT_RANGE,
    KNOWN_PARAMS,
    VALUE_FACETS,
    InvalidFilterError,
    parse_filters,
    unknown_params,
)
from traces.models import Span, SpanKind, SpanStatus, Trace
from traces.selectors import detail, listing
from traces.serializers import (
    ErrorSerializer,
    SpanPageSerializer,
    TraceDetailSerializer,
    TracePageSerializer,
)

MAX_LIMIT = 200
MAX_STEPS = 5_000
MAX_STEPS_WITH_CONTENT = 500
_ERRORS = {400: ErrorSerializer, 401: ErrorSerializer, 403: ErrorSerializer, 404: ErrorSerializer}


def _query(name: str, text: str, *, many: bool = False, enum: Any = None) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.STR, description=text, many=many, enum=enum)


_RANGE = _query(
    "range",
    "15m, 1h, 24h (default), 7d, 30d, 90d, mtd, or two instants: 2026-11-01T00:00Z..2026-11-20T14:30Z.",
)
_PAGE = [
    OpenApiParameter("limit", OpenApiTypes.INT, description=f"1 to {MAX_LIMIT}; default 50."),
    _query("cursor", "From `next` or `previous` of the last answer."),
]
_FILTERS = [
    _RANGE,
    *(
        _query(name, f"Only traces with this {name}; may be repeated. `(none)`: those without.", many=True)
        for name in VALUE_FACETS
    ),
    _query("min_cost", "Only traces dearer than this many dollars."),
    _query("unpriced", "1: only traces with calls that have no known price."),
    _query(
        "q",
        "The query language: `status:error cost:>0.05 model:claude-* -env:dev \"refund policy\"`"
        " (docs/tracing.md).",
    ),
    _query("sort", "started, cost, duration, tokens or steps; with - in front descending. Default -started."),
    *_PAGE,
]  # fmt: skip


class TraceListView(APIView):
    """Traces of a project."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="traces_list",
        parameters=_FILTERS,
        responses={200: TracePageSerializer, **_ERRORS},
    )
    def get(self, request: Request, project: str) -> Response:
        """The filtered traces, newest first unless `sort` says otherwise; the same filters as the page's."""
        found = project_from_api(request, project, "read")
        _refuse_unknown(request, KNOWN_PARAMS - {"after", "before"} | {"limit", "cursor"})
        filters = parse_filters(request.query_params, now=timezone.now(), strict=True)
        way, token = _direction(request.query_params.get("cursor", ""))
        try:
            page = listing.trace_page(
                found,
                filters,
                limit=limit_of(request, maximum=MAX_LIMIT),
                with_metadata=True,
                **{way: token},
            )
        except InvalidCursorError:
            raise bad_cursor() from None
        fixed = {"range": filters.range.explicit} if filters.range.is_preset else {}
        return Response(
            {
                "next": _list_page(request, "a." + page.after, fixed) if page.after else None,
                "previous": _list_page(request, "b." + page.before, fixed) if page.before else None,
                "results": [documents.trace_data(trace) for trace in page.rows],
            }
        )


def _list_page(request: Request, cursor: str, fixed: dict[str, str]) -> str:
    """A page's address; a relative range is fixed so that the pages of one walk belong together."""
    params = request.query_params.copy()
    for name in ("cursor", *fixed):
        params.pop(name, None)
    pairs = [(name, value) for name in params for value in params.getlist(name)]
    pairs += [*fixed.items(), ("cursor", cursor)]
    return request.build_absolute_uri(f"{request.path}?{urlencode(pairs)}")


def _direction(cursor: str) -> tuple[str, str]:
    if cursor and cursor[:2] not in ("a.", "b."):
        raise bad_cursor()
    return ("before" if cursor.startswith("b.") else "after"), cursor[2:]


def _refuse_unknown(request: Request, known: frozenset[str] | set[str]) -> None:
    unknown = unknown_params(request.query_params, also=frozenset(known))
    unknown += [
        name for name in ("after", "before") if name in request.query_params and name not in known
    ]
    if unknown:
        raise InvalidFilterError(
            f"{', '.join(unknown)} is not a parameter here; known are {', '.join(sorted(known))}.",
            fields=unknown,
        )


class TraceDetailView(APIView):
    """One trace."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="traces_retrieve",
        parameters=[
            _query("include", "payloads: also what was said in each step.", enum=["payloads"])
        ],
        responses={200: TraceDetailSerializer, **_ERRORS},
    )
    def get(self, request: Request, project: str, trace_id: str) -> Response:
        """The trace with its steps, oldest first: at most 5,000, or 500 with payloads."""
        found = project_from_api(request, project, "read")
        include = request.query_params.get("include", "")
        if include not in ("", "payloads"):
            raise DomainError(
                f"include is {include[:40]!r}; it must be payloads.", fields=["include"]
            )
        trace = detail.trace_of(found, trace_id)
        if trace is None:
            raise NotFoundError("There is no such trace in this project.")
        cap = MAX_STEPS_WITH_CONTENT if include else MAX_STEPS
        spans = list(_spans_of(trace)[: cap + 1])
        contents = detail.contents_of(found, trace, spans[:cap]) if include else {}
        steps = [
            documents.span_data(span)
            | (documents.content_data(contents.get(span.span_id)) if include else {})
            for span in spans[:cap]
        ]
        return Response(
            documents.trace_data(trace) | {"steps": steps, "steps_truncated": len(spans) > cap}
        )


def _spans_of(trace: Trace) -> QuerySet[Span]:
    return Span.objects.filter(
        project=trace.project_id,
        trace_id=trace.trace_id,
        started_at__gte=trace.first_span_at,
        started_at__lte=trace.last_span_at,
    ).order_by("started_at", "span_id")


class SpanListView(APIView):
    """Steps of a project, across traces."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="spans_list",
        parameters=[
            _RANGE,
            _query(
                "trace_id",
                "Only steps of this trace; the range is then the trace's own unless given.",
            ),
            _query(
                "type", "Only steps of this type; may be repeated.", many=True, enum=SpanKind.values
            ),
            _query(
                "status",
                "Only steps with this status; may be repeated.",
                many=True,
                enum=SpanStatus.values,
            ),
            _query(
                "model",
                "Only steps that asked for or were answered by this model; may be repeated.",
                many=True,
            ),
            *_PAGE,
        ],
        responses={200: SpanPageSerializer, **_ERRORS},
    )
    def get(self, request: Request, project: str) -> Response:
        """Steps newest first, bounded by time."""
        found = project_from_api(request, project, "read")
        known = {"range", "trace_id", "type", "status", "model", "limit", "cursor"}
        if unknown := [name[:40] for name in request.query_params if name not in known][:5]:
            raise InvalidFilterError(
                f"{', '.join(unknown)} is not a parameter here; known are {', '.join(sorted(known))}.",
                fields=unknown,
            )
        spans, bounds = self._filtered(request, found)
        limit = limit_of(request, maximum=MAX_LIMIT)
        if cursor := request.query_params.get("cursor", ""):
            spans = spans.filter(_older_than(cursor))
        rows = list(spans.order_by("-started_at", "-trace_id", "-span_id")[: limit + 1])
        more = (
            _list_page(request, _span_cursor(rows[limit - 1]), bounds)
            if len(rows) > limit
            else None
        )
        results = [documents.span_data(span) for span in rows[:limit]]
        return Response({"next": more, "previous": None, "results": results})

    def _filtered(
        self, request: Request, project: Project
    ) -> tuple[QuerySet[Span], dict[str, str]]:
        """The steps asked for, always bounded by time, and the range that the next page must keep."""
        spans = Span.objects.filter(project=project)
        trace_id = request.query_params.get("trace_id", "").replace("\x00", "")
        if trace_id and "range" not in request.query_params:
            trace = detail.trace_of(project, trace_id)
            if trace is None:
                raise NotFoundError("There is no such trace in this project.")
            start, end, bounds = trace.first_span_at, trace.last_span_at, {}
        else:
            text = request.query_params.get("range", "")
            period = parse_range(text, now=timezone.now(), default=DEFAULT_RANGE)
            start, end, bounds = period.start, period.end, {"range": period.explicit}
        spans = spans.filter(started_at__gte=start, started_at__lte=end)
        if trace_id:
            spans = spans.filter(trace_id=trace_id)
        for name, field, allowed in (
            ("type", "kind", SpanKind.values),
            ("status", "status", SpanStatus.values),
        ):
            if chosen := request.query_params.getlist(name):
                if bad := [value for value in chosen if value not in allowed]:
                    raise InvalidFilterError(
                        f"{name} is {bad[0][:40]!r}; it must be one of {', '.join(allowed)}.",
                        fields=[name],
                    )
                spans = spans.filter(**{f"{field}__in": chosen})
        if models := [
            value.replace("\x00", "")[:200] for value in request.query_params.getlist("model")
        ][:50]:
            spans = spans.filter(Q(response_model__in=models) | Q(request_model__in=models))
        return spans, bounds


def _span_cursor(span: Span) -> str:
    text = json.dumps([span.started_at.astimezone(dt.UTC).isoformat(), span.trace_id, span.span_id])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _older_than(cursor: str) -> Q:
    try:
        if len(cursor) > 800:
            raise ValueError
        at, trace_id, span_id = json.loads(
            base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        )
        moment = dt.datetime.fromisoformat(at)
        if moment.tzinfo is None or not isinstance(trace_id, str) or not isinstance(span_id, str):
            raise ValueError
        if "\x00" in trace_id + span_id:
            raise ValueError
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise bad_cursor() from None
    same = Q(started_at=moment)
    past = Q(started_at__lt=moment) | same & (
        Q(trace_id__lt=trace_id) | Q(trace_id=trace_id, span_id__lt=span_id)
    )
    return Q(started_at__lte=moment) & past


trace_list_api = TraceListView.as_view()
