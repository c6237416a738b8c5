"""Costs for programs: spend, models in use with their prices, and the raw ledger."""

import datetime as dt
from dataclasses import asdict
from typing import Any

from django.http import QueryDict
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.ranges import BIN_STEP, TimeRange
from costs import caching, forms, serializers
from costs.filters import EXTRA_FIELDS, GROUPS, ROW_FIELDS, read_filters
from costs.models import PriceStatus
from costs.price_rules import RuleSet
from costs.selectors import pages, spend
from costs.selectors.models import price_today
from costs.selectors.price_rules import rules_of
from costs.selectors.sums import Sums
from costs.selectors.usage import usage_mark
from projects.access import HasScope, project_from_api

CURRENCY = "USD"
_DATES = "ISO 8601 date or date-time; without a zone it is UTC"


def parameter(name: str, text: str, *, many: bool = False, enum: Any = None) -> OpenApiParameter:
    """A text parameter of the query string."""
    return OpenApiParameter(name, OpenApiTypes.STR, description=text, many=many, enum=enum)


PERIOD = [
    parameter("start_date", f"{_DATES}. Default: the first of the month."),
    parameter(
        "end_date",
        f"{_DATES}; a date means that whole day. Default: now. At most 400 days after the start.",
    ),
]
FILTERS = [
    parameter(
        name,
        f"Only calls with this {name}; may be repeated. `(none)` for calls without.",
        many=True,
    )
    for name in ROW_FIELDS
] + [
    parameter(
        name,
        f"Only calls with this {name.replace('_', ' ')}; at most one of {', '.join(EXTRA_FIELDS)}.",
        many=True,
    )
    for name in EXTRA_FIELDS
]
_PAGE = [
    OpenApiParameter("limit", OpenApiTypes.INT, description="Lines per page."),
    parameter("cursor", "The next page, from `next` of the last answer."),
]
_EXAMPLE = OpenApiExample(
    "Two days by provider",
    value={
        "project": "support-copilot",
        "currency": CURRENCY,
        "granularity": "daily",
        "group_by": "provider",
        "range": {"start": "2026-11-19T00:00:00Z", "end": "2026-11-21T00:00:00Z"},
        "generated_at": "2026-11-21T08:15:30Z",
        "total": {
            "calls": 3, "errors": 0, "unpriced_calls": 1, "estimated_calls": 0, "input_tokens": 5200,
            "output_tokens": 840, "cache_read_input_tokens": 1024, "cache_write_input_tokens": 0,
            "reasoning_output_tokens": 0, "cost_usd": "0.0214", "p50_ms": 812.4, "p95_ms": 2310.9,
        },
        "results": [
            {
                "start": "2026-11-19T00:00:00Z", "end": "2026-11-20T00:00:00Z", "group": "openai", "calls": 3,
                "errors": 0, "unpriced_calls": 1, "estimated_calls": 0, "input_tokens": 5200, "output_tokens": 840,
                "cache_read_input_tokens": 1024, "cache_write_input_tokens": 0, "reasoning_output_tokens": 0,
                "cost_usd": "0.0214",
            }
        ],
        "next": None,
    },
    response_only=True,
)  # fmt: skip


class CostListView(APIView):
    """Spend of a project."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="costs_list",
        parameters=[
            *PERIOD,
            parameter(
                "granularity",
                "Default: daily. hourly spans at most 31 days.",
                enum=list(forms.GRANULARITIES),
            ),
            parameter("group_by", "One line per value of this.", enum=list(GROUPS)),
            *FILTERS,
            *_PAGE,
        ],
        responses=serializers.SpendSerializer,
        examples=[_EXAMPLE],
    )
    def get(self, request: Request, project: str) -> Response:
        """Sums per hour, day or the whole range, optionally per group. The range is widened to whole hours."""
        found = project_from_api(request, project, "read")
        now = timezone.now()
        query = forms.read_spend_query(request.query_params, now=now)
        mark = usage_mark(found.pk)
        key = (query.period.explicit, query.filters.cache_key)
        total = caching.cached(
            found.pk,
            mark,
            ("api.total", *key),
            lambda: spend.spend_total(found.pk, query.period, query.filters),
        )
        lines = caching.cached(
            found.pk,
            mark,
            ("api.lines", *key, query.granularity, query.group_by, query.after, query.limit),
            lambda: pages.spend_page(
                found.pk,
                query.period,
                query.filters,
                group_by=query.group_by,
                size=query.size,
                after=query.after,
                limit=query.limit + 1,
            ),
        )
        shown = lines[: query.limit]
        return Response(
            {
                "project": found.slug,
                "currency": CURRENCY,
                "granularity": query.granularity,
                "group_by": query.group_by or None,
                "range": _range(query.period),
                "generated_at": now,
                "total": serializers.SpendTotalSerializer(
                    facts(total.current) | asdict(total.latency)
                ).data,
                "results": serializers.SpendLineSerializer(
                    [_line(line, query) for line in shown], many=True
                ).data,
                "next": _next(request, shown[-1].cursor) if len(lines) > query.limit else None,
            }
        )


def facts(sums: Sums) -> dict[str, Any]:
    """What SumsSerializer reads."""
    return {**vars(sums), "known_cost_usd": sums.known_cost_usd}


def _line(line: pages.SpendLine, query: forms.SpendQuery) -> dict[str, Any]:
    """What SpendLineSerializer reads."""
    start, end = query.period.start, query.period.end
    if line.at is not None and query.size:
        start, end = max(line.at, start), min(line.at + BIN_STEP[query.size], end)
    return {"start": start, "end": end, "group": line.value, **facts(line.sums)}


def _range(period: TimeRange) -> dict[str, Any]:
    return dict(serializers.RangeSerializer({"start": period.start, "end": period.end}).data)


def _next(request: Request, cursor: list[str]) -> str:
    """The address of the next page, on the host the caller used."""
    query: QueryDict = request.query_params.copy()
    query["cursor"] = forms.write_cursor(cursor)
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")


class ModelListView(APIView):
    """Models in use."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="models_list",
        parameters=[*PERIOD, *FILTERS],
        responses=serializers.ModelListSerializer,
    )
    def get(self, request: Request, project: str) -> Response:
        """Every provider and model called in the range, dearest first, with today's price, own rules included."""
        found = project_from_api(request, project, "read")
        now = timezone.now()
        forms.refuse_unknown(request.query_params, {*forms.PERIOD_PARAMS, *GROUPS})
        period = forms.read_period(request.query_params, now=now).whole_hours()
        filters = read_filters(request.query_params)
        used = caching.cached(
            found.pk,
            usage_mark(found.pk),
            ("api.models", period.explicit, filters.cache_key),
            lambda: pages.model_usage(found.pk, period, filters),
        )
        rules = rules_of(found.organization_id)
        return Response(
            {
                "project": found.slug,
                "currency": CURRENCY,
                "range": _range(period),
                "generated_at": now,
                "results": [_model(one, rules, now) for one in used],
            }
        )


def _model(used: pages.ModelUsage, rules: RuleSet, now: dt.datetime) -> dict[str, Any]:
    period = price_today(used.provider, used.model, rules, now)
    price = period.price
    row = {
        "provider": used.provider,
        "model": used.model,
        "first_seen_at": used.first_seen_at,
        "last_seen_at": used.last_seen_at,
        **facts(used.sums),
        "price": {
            "status": price.status,
            "source": price.source,
            "matched_model": price.matched_model,
            "reason": price.reason,
            "override": price.override,
            "discount": price.discount,
            "valid_from": period.first,
            "valid_to": period.last,
            "classes": [
                {
                    "token_class": one.token_class,
                    "price_usd": one.price_usd,
                    "per": one.per,
                    "tiers": [
                        {"above_input_tokens": start, "price_usd": usd} for start, usd in one.tiers
                    ],
                }
                for one in price.classes
            ],
        },
    }
    return dict(serializers.ModelUsageSerializer(row).data)


class CostRecordListView(APIView):
    """The raw ledger."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="costs_records_list",
        parameters=[
            *PERIOD,
            *FILTERS,
            parameter("trace_id", "Only calls of this trace."),
            parameter("price_status", "Only records priced this way.", enum=PriceStatus.values),
            *_PAGE,
        ],
        responses=serializers.CostRecordPageSerializer,
    )
    def get(self, request: Request, project: str) -> Response:
        """One record per call, newest first; without dates, of the last 24 hours."""
        found = project_from_api(request, project, "read")
        query = forms.read_ledger_query(request.query_params, now=timezone.now())
        records = pages.ledger_page(
            found.pk,
            query.period,
            query.filters,
            trace_id=query.trace_id,
            price_status=query.price_status,
            after=query.after,
            limit=query.limit + 1,
        )
        shown = records[: query.limit]
        more = len(records) > query.limit
        return Response(
            {
                "range": _range(query.period),
                "results": serializers.CostRecordSerializer(shown, many=True).data,
                "next": _next(request, [shown[-1].occurred_at.isoformat(), str(shown[-1].pk)])
                if more
                else None,
            }
        )


# POST on the same path is the ingestion door (traces.door_urls), which hands every other method here.
cost_list_api = CostListView.as_view()
