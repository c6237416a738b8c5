"""What the dashboard's panels show, for programs: series, breakdowns and percentiles."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import asdict
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.errors import DomainError
from core.formats import plain_decimal
from core.ranges import TimeRange
from costs import caching, panel_forms, panel_serializers
from costs.api import CURRENCY, FILTERS, PERIOD, facts, parameter
from costs.filters import GROUPS
from costs.panel_forms import PanelQuery
from costs.selectors import spend
from costs.selectors.spend import Cell, Latency
from costs.selectors.sums import MEASURES, Sums, add_up
from costs.selectors.usage import usage_mark
from projects.access import HasScope, project_from_api

_BIN = parameter(
    "bin", "Default: what suits the range. hour spans at most 31 days.", enum=list(panel_forms.BINS)
)
_COMPARE = parameter(
    "compare", "A period beside the range. Default: none.", enum=list(panel_forms.COMPARISONS)
)
_ORDER = parameter(
    "order", "Which groups come first. Default: spend.", enum=list(panel_forms.ORDERS)
)


class CostSeriesView(APIView):
    """One measure over time."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="costs_series",
        parameters=[
            *PERIOD,
            _BIN,
            parameter("measure", "Default: cost_usd.", enum=list(MEASURES)),
            parameter("group_by", "One line per value of this.", enum=list(GROUPS)),
            OpenApiParameter("top", OpenApiTypes.INT, description="Groups, at most 50. Default 5."),
            _ORDER,
            _COMPARE,
            *FILTERS,
        ],
        responses=panel_serializers.SeriesSerializer,
    )  # fmt: skip
    def get(self, request: Request, project: str) -> Response:
        """A measure per bin: of the whole, or of the first groups and all others together."""
        found = project_from_api(request, project, "read")
        now = timezone.now()
        query = panel_forms.read_series_query(request.query_params, now=now)
        answer = caching.cached(
            found.pk,
            usage_mark(found.pk),
            ("api.series", *_key(query)),
            lambda: _series(found.pk, query),
        )
        return Response(
            {
                "project": found.slug,
                "currency": CURRENCY,
                "measure": query.measure,
                "bin": query.size,
                "group_by": query.group_by or None,
                "range": _range(query.period),
                "generated_at": now,
                **answer,
            }
        )


def _key(query: PanelQuery) -> tuple[object, ...]:
    """Everything an answer depends on besides the project's data."""
    previous = query.previous.explicit if query.previous else ""
    rest = (query.size, query.measure, query.group_by, query.order, query.top, query.metric)
    return (query.period.explicit, query.filters.cache_key, previous, *rest)


def _series(project_id: UUID, query: PanelQuery) -> dict[str, Any]:
    """Bins, lines and the period before. Two queries, one without a grouping."""
    values: tuple[str, ...] | None = None
    count = 1
    if query.group_by:
        values, count = spend.ranked_values(
            project_id, query.period, query.filters, query.group_by, limit=query.top, order=query.order
        )  # fmt: skip
    cells = spend.spend_series(
        project_id,
        query.period,
        query.filters,
        (query.group_by,) if query.group_by else (),
        query.size,
        single_out=values,
        previous=query.previous,
    )
    bins = query.period.bins(query.size)
    now = {(cell.value, cell.at): cell.sums for cell in cells if not cell.is_past}
    lines: list[tuple[str | None, bool]] = [(value, False) for value in values or ()]
    if values is None or count > len(values):
        lines.append((None, values is not None))
    return {
        "bins": [_range(query.period.bin_range(at, query.size)) for at in bins],
        "group_count": count,
        "results": [
            {
                "group": value,
                "is_other": is_other,
                "values": _figures(query, (now.get((value, at), Sums()) for at in bins)),
            }
            for value, is_other in lines
        ],
        "previous": _before(query, [cell for cell in cells if cell.is_past]),
    }


def _before(query: PanelQuery, cells: list[Cell]) -> dict[str, Any] | None:
    """All groups of the period before together, on its own bins."""
    if query.previous is None:
        return None
    by_bin: dict[dt.datetime, list[Sums]] = {}
    for cell in cells:
        by_bin.setdefault(cell.at, []).append(cell.sums)
    bins = query.previous.bins(query.size)
    sums = [add_up(by_bin.get(at, [])) for at in bins]
    return {"range": _range(query.previous), "values": _figures(query, sums)}


def _figures(query: PanelQuery, sums: Iterable[Sums]) -> list[Any]:
    """Counts as they are, amounts and shares as plain decimal strings, unknown as None."""
    found = (MEASURES[query.measure](one) for one in sums)
    return [plain_decimal(one) if isinstance(one, Decimal) else one for one in found]


class CostBreakdownView(APIView):
    """Groups of a range."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="costs_breakdown",
        parameters=[
            *PERIOD,
            parameter("group_by", "Default: model.", enum=list(GROUPS)),
            _ORDER,
            OpenApiParameter("limit", OpenApiTypes.INT, description="Groups, at most 200. Default 20."),
            _COMPARE,
            *FILTERS,
        ],
        responses=panel_serializers.BreakdownSerializer,
    )  # fmt: skip
    def get(self, request: Request, project: str) -> Response:
        """The first groups with all their sums, the period before beside them."""
        found = project_from_api(request, project, "read")
        now = timezone.now()
        query = panel_forms.read_breakdown_query(request.query_params, now=now)
        top = caching.cached(
            found.pk,
            usage_mark(found.pk),
            ("api.breakdown", *_key(query)),
            lambda: spend.top_groups(
                found.pk,
                query.period,
                query.filters,
                (query.group_by,),
                previous=query.previous,
                limit=query.top,
                order=query.order,
                with_latency=True,
            ),
        )
        lines = [
            {
                "group": group.value,
                **facts(group.current),
                **asdict(group.latency),
                "previous": facts(group.previous) if query.previous else None,
            }
            for group in top.groups
        ]
        return Response(
            {
                "project": found.slug,
                "currency": CURRENCY,
                "group_by": query.group_by,
                "range": _range(query.period),
                "previous_range": _range(query.previous) if query.previous else None,
                "generated_at": now,
                "group_count": top.count,
                "results": panel_serializers.BreakdownLineSerializer(lines, many=True).data,
            }
        )


class CostPercentilesView(APIView):
    """How long calls take."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="costs_percentiles",
        parameters=[
            *PERIOD,
            _BIN,
            parameter("metric", "Default: latency.", enum=list(panel_forms.METRICS)),
            *FILTERS,
        ],
        responses=panel_serializers.PercentilesSerializer,
    )
    def get(self, request: Request, project: str) -> Response:
        """Percentiles per bin and of the whole range; filters on provider, model, environment and agent only."""
        found = project_from_api(request, project, "read")
        now = timezone.now()
        query = panel_forms.read_percentiles_query(request.query_params, now=now)
        answer = caching.cached(
            found.pk,
            usage_mark(found.pk),
            ("api.percentiles", *_key(query)),
            lambda: spend.percentile_series(
                found.pk, query.period, query.filters, query.size, histogram=query.metric
            ),
        )
        if answer is None:
            raise DomainError(
                f"{query.filters.extra} cannot filter percentiles: they are kept by provider, model, environment and"
                " agent. Remove it.",
                fields=[query.filters.extra],
            )
        series, whole = answer
        return Response(
            {
                "project": found.slug,
                "metric": query.metric,
                "bin": query.size,
                "range": _range(query.period),
                "generated_at": now,
                "total": _times(sum(one.calls for one in series), whole),
                "results": [
                    {
                        **_range(query.period.bin_range(one.at, query.size)),
                        **_times(one.calls, one.latency),
                    }
                    for one in series
                ],
            }
        )


def _times(calls: int, latency: Latency) -> dict[str, Any]:
    return {"calls": calls, **asdict(latency)}


def _range(period: TimeRange) -> dict[str, Any]:
    return {"start": period.start, "end": period.end}
