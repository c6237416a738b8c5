"""The cost explorer for programs: any two dimensions, exact sums, JSON or CSV."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.http import HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.formats import plain_decimal
from core.ranges import TimeRange, next_bin
from core.streaming import csv_file
from costs.explorer.answers import answer_csv, cached_answer, project_ids_of
from costs.explorer.ask import BINS, Answer, Question, Row
from costs.explorer.dimensions import DIMENSIONS
from costs.explorer.measures import MEASURES, Value
from costs.explorer.query import COMPARISONS, FORMATS, Asked, read_question
from costs.serializers import RangeSerializer
from projects.access import HasScope, people_only, project_from_api

CURRENCY = "USD"


_membership = people_only("explore its costs at /api/v1/projects/<project>/costs/explore.")


def _parameter(name: str, text: str, **more: Any) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.STR, description=text, **more)


PARAMETERS = [
    _parameter(
        "range",
        "24h, 7d, 30d, 90d, mtd or two instants like 2026-11-01..2026-11-20; whole UTC hours. Default: 30d.",
    ),
    _parameter("by", f"Up to two of {', '.join(DIMENSIONS)}, with a comma between them."),
    _parameter("bin", "Also by time. hour spans at most 31 days.", enum=list(BINS)),
    _parameter("measures", f"Any of {', '.join(MEASURES)}. Default: cost_usd,calls,total_tokens."),
    _parameter("sort", "A measure, - in front for the largest first. Default: -<first measure>."),
    OpenApiParameter(
        "limit", OpenApiTypes.INT, description="Groups listed apart, 1 to 1000. Default: 50."
    ),
    _parameter("compare", "Each group's figures of a period before.", enum=list(COMPARISONS)),
    _parameter("format", "Default: json.", enum=list(FORMATS)),
    *(
        _parameter(
            name,
            f"Only calls with this {label.lower() if label != 'API key' else label}; may repeat. `(none)` for calls"
            " without.",
            many=True,
        )
        for name, label in DIMENSIONS.items()
    ),
]


class ExploreValuesSerializer(serializers.Serializer[Any]):
    """Figures by measure: counts are numbers, amounts decimal strings with every digit, null is unknown."""

    values = serializers.DictField(child=serializers.JSONField(allow_null=True))
    previous = serializers.DictField(
        child=serializers.JSONField(allow_null=True), allow_null=True, help_text="Null unless `compare` is given"
    )  # fmt: skip


class ExploreRowSerializer(ExploreValuesSerializer):
    """A group, or a group in one bin."""

    key = serializers.DictField(
        child=serializers.CharField(),
        allow_null=True,
        help_text="Value by dimension, empty for calls without; null for all groups beyond `limit`",
    )
    start = serializers.DateTimeField(allow_null=True, help_text="Null without bin")
    end = serializers.DateTimeField(allow_null=True)


class UnknownDaySerializer(serializers.Serializer[Any]):
    """A day of which only sums are left."""

    project_id = serializers.UUIDField()
    day = serializers.DateField()
    calls = serializers.IntegerField()


class ExploreSerializer(serializers.Serializer[Any]):
    """The answer of `GET …/costs/explore`."""

    currency = serializers.CharField()
    by = serializers.ListField(child=serializers.CharField())
    bin = serializers.CharField(allow_null=True)
    measures = serializers.ListField(child=serializers.CharField())
    range = RangeSerializer()
    previous_range = RangeSerializer(allow_null=True)
    generated_at = serializers.DateTimeField()
    group_count = serializers.IntegerField(help_text="How many groups there are in all")
    notes = serializers.ListField(child=serializers.CharField())
    unknown_days = UnknownDaySerializer(
        many=True, help_text="Days in no figure here: retention removed their calls before they were kept"
    )  # fmt: skip
    total = ExploreValuesSerializer(help_text="Everything in the range, each call once")
    totals = ExploreRowSerializer(many=True, help_text="The same by bin; empty without bin")
    results = ExploreRowSerializer(many=True)


class AnyFormat(BaseContentNegotiation):
    """`format` is the question's own parameter."""

    def select_parser(self, request: Request, parsers: Iterable[Any]) -> Any:
        return next(iter(parsers))

    def select_renderer(
        self, request: Request, renderers: Iterable[Any], format_suffix: str | None = None
    ) -> Any:
        first = next(iter(renderers))
        return first, first.media_type


class ExploreAPIView(APIView):
    """Answers a question."""

    permission_classes = [HasScope("read")]
    content_negotiation_class = AnyFormat

    def answered(self, query: QueryDict, project_ids: Sequence[UUID]) -> Response | HttpResponse:
        """JSON or CSV."""
        now = timezone.now()
        asked = read_question(query, project_ids=project_ids, now=now)
        found = cached_answer(asked.question)
        earlier = asked.before([row.key for row in found.groups if row.key is not None])
        before = cached_answer(earlier) if earlier else None
        if asked.format == "csv":
            return csv_file("costs.csv", [answer_csv(found, before=before)])
        return Response(_body(asked, found, before, now))


class ProjectExploreView(ExploreAPIView):
    """The explorer of one project."""

    @extend_schema(operation_id="costs_explore", parameters=PARAMETERS, responses=ExploreSerializer)
    def get(self, request: Request, project: str) -> HttpResponseBase:
        """Cost, tokens, calls and ratios by up to two dimensions and time."""
        found = project_from_api(request, project, "read")
        return self.answered(request.query_params, [found.pk])


class OrganizationExploreView(ExploreAPIView):
    """The explorer of an organisation's projects together."""

    @extend_schema(
        operation_id="costs_explore_organization",
        parameters=PARAMETERS,
        responses=ExploreSerializer,
    )
    def get(self, request: Request, organization: str) -> HttpResponseBase:
        """Cost, tokens, calls and ratios of all projects by up to two dimensions and time (people only)."""
        member = _membership(request, organization)
        return self.answered(request.query_params, project_ids_of(member.organization_id))


def _body(asked: Asked, found: Answer, before: Answer | None, now: dt.datetime) -> dict[str, Any]:
    question = found.question
    past = {row.key: row for row in before.groups} if before else {}
    if before and before.other:
        past[None] = before.other
    rows = [*found.rows, *found.other_bins]
    if found.other and not question.bin:
        rows.append(found.other)
    return {
        "currency": CURRENCY,
        "by": list(question.by),
        "bin": question.bin or None,
        "measures": list(question.measures),
        "range": _span(asked.period),
        "previous_range": _span(asked.previous) if asked.previous else None,
        "generated_at": now,
        "group_count": found.group_count,
        "notes": list(found.notes),
        "unknown_days": [
            {"project_id": project, "day": day, "calls": calls}
            for project, day, calls in found.unknown_days
        ],
        "total": {
            "values": _plain(found.total.values),
            "previous": _plain(before.total.values) if before else None,
        },
        "totals": [_row(row, question, None) for row in found.totals],
        "results": [
            _row(row, question, None if question.bin else past.get(row.key)) for row in rows
        ],
    }


def _row(row: Row, question: Question, earlier: Row | None) -> dict[str, Any]:
    """One line; figures of the period before stand with whole groups."""
    ends: tuple[Any, Any] = (None, None)
    if row.at is not None:
        end = next_bin(row.at, question.bin)  # type: ignore[arg-type]  # checked with the question
        ends = max(row.at, question.start), min(end, question.end)
    return {
        "key": None if row.key is None else dict(zip(question.by, row.key, strict=False)),
        "start": ends[0],
        "end": ends[1],
        "values": _plain(row.values),
        "previous": _plain(earlier.values) if earlier else None,
    }


def _plain(values: Mapping[str, Value]) -> dict[str, Any]:
    """Amounts as text with every digit."""
    return {
        name: value if value is None or isinstance(value, int) else plain_decimal(value)
        for name, value in values.items()
    }


def _span(period: TimeRange) -> dict[str, dt.datetime]:
    return {"start": period.start, "end": period.end}
