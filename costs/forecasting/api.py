"""Forecasts and anomalies for programs and people. A key reads those of its project, people their organisation's."""

import datetime as dt
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Role
from accounts.selectors import person
from core.api.pagination import limit_of, next_url
from core.errors import DomainError
from costs.forecasting import selectors, services
from costs.forecasting import serializers as shapes
from costs.forecasting.lists import STATES, read_asked
from costs.forms import refuse_unknown
from costs.models import SeriesKind
from projects.access import HasScope, people_only, project_from_api

_LIMIT = OpenApiParameter("limit", OpenApiTypes.INT, description="1 to 200, default 50.")
_AFTER = OpenApiParameter("after", OpenApiTypes.STR, description="From `next` of the page before.")
_SHARED = [
    OpenApiParameter("kind", OpenApiTypes.STR, enum=SeriesKind.values),
    OpenApiParameter("q", OpenApiTypes.STR, description="Part of a provider, model or name."),
    _LIMIT,
    _AFTER,
]
_PROJECT = OpenApiParameter("project", OpenApiTypes.UUID, description="Only of this project.")
_FORECASTS = [
    OpenApiParameter("month", OpenApiTypes.STR, description="YYYY-MM; default: this month."),
    OpenApiParameter("sort", OpenApiTypes.STR, enum=list(selectors.FORECAST_SORTS)),
    *_SHARED,
]
_ANOMALIES = [
    OpenApiParameter("state", OpenApiTypes.STR, enum=["open", *(one for one in STATES if one)]),
    OpenApiParameter("sort", OpenApiTypes.STR, enum=list(selectors.ANOMALY_SORTS)),
    *_SHARED,
]
_NAMES = {"kind", "q", "limit", "after", "sort"}


_membership = people_only(
    "read its forecasts and anomalies at /api/v1/projects/<project>/forecasts and /anomalies."
)


def _month(request: Request) -> dt.date:
    text = request.query_params.get("month", "")
    if not text:
        return timezone.now().date()
    try:
        return dt.datetime.strptime(text, "%Y-%m").replace(tzinfo=dt.UTC).date()
    except ValueError:
        raise DomainError(
            f"month is {text[:40]!r}; it must be a month such as 2026-11.", fields=["month"]
        ) from None


def _page(request: Request, page: selectors.Page, shape: Any) -> Response:
    results = shape(page.rows, many=True).data
    return Response({"results": results, "next": next_url(request, page.after)})


def _forecasts(
    request: Request, organization_id: UUID, names: set[str], project_id: UUID | None = None
) -> Response:
    refuse_unknown(request.query_params, names)
    asked = read_asked(request.query_params, sorts=selectors.FORECAST_SORTS)
    page = selectors.forecasts_page(
        organization_id,
        replace(asked, project_id=project_id or asked.project_id),
        month=_month(request),
        limit=limit_of(request),
    )
    return _page(request, page, shapes.SpendForecastSerializer)


def _anomalies(
    request: Request, organization_id: UUID, names: set[str], project_id: UUID | None = None
) -> Response:
    refuse_unknown(request.query_params, names)
    asked = read_asked(request.query_params, sorts=selectors.ANOMALY_SORTS, has_state=True)
    page = selectors.anomalies_page(
        organization_id,
        replace(asked, project_id=project_id or asked.project_id),
        limit=limit_of(request),
    )
    return _page(request, page, shapes.SpendAnomalySerializer)


class ForecastListView(APIView):
    """Where an organisation's month ends."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="forecasts_list",
        parameters=[_PROJECT, *_FORECASTS],
        responses=shapes.ForecastPageSerializer,
    )
    def get(self, request: Request, organization: str) -> Response:
        """Forecasts of a month, the dearest first."""
        found = _membership(request, organization)
        return _forecasts(request, found.organization_id, {*_NAMES, "month", "project"})


class ProjectForecastListView(APIView):
    """Where a project's month ends."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="forecasts_of_project",
        parameters=_FORECASTS,
        responses=shapes.ForecastPageSerializer,
    )
    def get(self, request: Request, project: str) -> Response:
        """Forecasts of the project, its providers, models and budgets."""
        found = project_from_api(request, project, "read")
        return _forecasts(request, found.organization_id, {*_NAMES, "month"}, found.pk)


class AnomalyListView(APIView):
    """An organisation's strange days."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="anomalies_list",
        parameters=[_PROJECT, *_ANOMALIES],
        responses=shapes.AnomalyPageSerializer,
    )
    def get(self, request: Request, organization: str) -> Response:
        """Open anomalies, newest first, with what moved them."""
        found = _membership(request, organization)
        return _anomalies(request, found.organization_id, {*_NAMES, "state", "project"})


class ProjectAnomalyListView(APIView):
    """A project's strange days."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="anomalies_of_project",
        parameters=_ANOMALIES,
        responses=shapes.AnomalyPageSerializer,
    )
    def get(self, request: Request, project: str) -> Response:
        """Open anomalies of the project, newest first, with what moved them."""
        found = project_from_api(request, project, "read")
        return _anomalies(request, found.organization_id, {*_NAMES, "state"}, found.pk)


class AnomalyView(APIView):
    """One strange day."""

    permission_classes = [HasScope("read")]

    @extend_schema(operation_id="anomaly_read", responses=shapes.SpendAnomalySerializer)
    def get(self, request: Request, organization: str, anomaly: UUID) -> Response:
        """The day, its usual range and what moved it."""
        found = _membership(request, organization)
        row = selectors.anomaly_of(found.organization_id, anomaly)
        return Response(shapes.SpendAnomalySerializer(row).data)


class AnomalyExpectationView(APIView):
    """Whether a day was meant to be as it was."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="anomaly_mark_expected",
        request=shapes.ExpectationSerializer,
        responses=shapes.SpendAnomalySerializer,
    )
    def post(self, request: Request, organization: str, anomaly: UUID) -> Response:
        """Mark the day as expected. 409 when it is already."""
        found = _membership(request, organization, Role.MEMBER)
        row = selectors.anomaly_of(found.organization_id, anomaly)
        body = shapes.ExpectationSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        row = services.mark_expected(
            anomaly=row,
            actor=person(request),
            note=body.validated_data["note"],
            now=timezone.now(),
        )
        return Response(shapes.SpendAnomalySerializer(row).data)

    @extend_schema(
        operation_id="anomaly_reopen", request=None, responses=shapes.SpendAnomalySerializer
    )
    def delete(self, request: Request, organization: str, anomaly: UUID) -> Response:
        """Take that back. 409 when it is open."""
        found = _membership(request, organization, Role.MEMBER)
        row = selectors.anomaly_of(found.organization_id, anomaly)
        row = services.reopen(anomaly=row, actor=person(request), now=timezone.now())
        return Response(shapes.SpendAnomalySerializer(row).data)
