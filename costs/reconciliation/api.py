"""Reconciliation for people's programs: months, cells with their causes, checked prices."""

import datetime as dt
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.pagination import CursorPages
from costs.billing.api import BillingView, member_of
from costs.billing.lines import choice_of, text_of
from costs.forms import refuse_unknown
from costs.models import PriceCheck
from costs.reconciliation import selectors
from costs.reconciliation import serializers as shapes
from costs.reconciliation.views import KIND_NAMES, PROVIDERS, month_of_text

_PAGES = {"limit", "cursor"}
_PROVIDER = OpenApiParameter("provider", OpenApiTypes.STR, enum=list(PROVIDERS[1:]))
_MONTH = OpenApiParameter("month", OpenApiTypes.STR, description="Such as 2026-11")
_MODEL = OpenApiParameter("model", OpenApiTypes.STR, description="Part of its name")
_KIND = OpenApiParameter(
    "kind", OpenApiTypes.STR, enum=KIND_NAMES[1:], description="With this cause"
)


def _month(request: Request) -> dt.date | None:
    text = request.query_params.get("month", "")
    return month_of_text(text) if text else None


class ReconciliationView(BillingView):
    """Months."""

    @extend_schema(
        operation_id="reconciliation_months",
        parameters=[_PROVIDER, _KIND],
        responses=shapes.MonthSerializer(many=True),
    )
    def get(self, request: Request, organization: str) -> Response:
        """Every month of every provider, newest first, with the causes of its gap."""
        membership = member_of(request, organization)
        refuse_unknown(request.query_params, {"provider", "kind"})
        rows = selectors.months_of(
            membership.organization_id,
            provider=choice_of(request.query_params, "provider", PROVIDERS),
            kind=choice_of(request.query_params, "kind", KIND_NAMES[:-1]),
        )
        return Response(shapes.MonthSerializer(rows, many=True).data)


class _ListView(BillingView):
    pagination_class = CursorPages

    def _answer(self, request: Request, rows: Any, shape: Any) -> Response:
        pages = self.pagination_class()
        page = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response(shape(page, many=True).data)


class CellListView(_ListView):
    """Days of models."""

    @extend_schema(
        operation_id="reconciliation_cells",
        parameters=[_PROVIDER, _MONTH, _MODEL, _KIND],
        responses=shapes.CellSerializer(many=True),
    )
    def get(self, request: Request, organization: str) -> Response:
        """Day × model with causes and evidence, the one worked out last first."""
        membership = member_of(request, organization)
        query = request.query_params
        refuse_unknown(query, {"provider", "month", "model", "kind", *_PAGES})
        first = _month(request)
        rows = selectors.cells_of(
            membership.organization_id,
            provider=choice_of(query, "provider", PROVIDERS),
            first=first,
            end=(first + dt.timedelta(days=32)).replace(day=1) if first else None,
            model=text_of(query, "model"),
            kind=choice_of(query, "kind", KIND_NAMES),
        )
        cells = rows.defer("lines", "prices").prefetch_related("causes")
        return self._answer(request, cells, shapes.CellSerializer)


class PriceCheckListView(_ListView):
    """Prices."""

    @extend_schema(
        operation_id="reconciliation_prices",
        parameters=[
            _PROVIDER,
            _MONTH,
            _MODEL,
            OpenApiParameter("state", OpenApiTypes.STR, enum=PriceCheck.State.values),
        ],
        responses=shapes.PriceCheckSerializer(many=True),
    )
    def get(self, request: Request, organization: str) -> Response:
        """What bills say about prices: verified, another price, or no clear word."""
        membership = member_of(request, organization)
        query = request.query_params
        refuse_unknown(query, {"provider", "month", "model", "state", *_PAGES})
        rows = selectors.checks_of(
            membership.organization_id,
            provider=choice_of(query, "provider", PROVIDERS),
            model=text_of(query, "model"),
            state=choice_of(query, "state", ("", *PriceCheck.State.values)),
            month=_month(request),
        )
        return self._answer(request, rows, shapes.PriceCheckSerializer)
