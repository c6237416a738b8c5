"""Limits for people and their programs: list, make, change, pause, delete. Keys of projects are refused."""

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Membership, Role
from accounts.selectors import person
from core.api.pagination import limit_of, next_url
from costs.forms import refuse_unknown
from gateway.models import Limit, LimitMetric, LimitScope
from gateway.quotas import selectors, services
from gateway.quotas import serializers as shapes
from projects.access import HasScope, people_only
from projects.api import valid

member_of = people_only("limits are the organisation's and need a person.")
_LISTING = [
    OpenApiParameter("q", OpenApiTypes.STR, description="Part of a name or value."),
    OpenApiParameter("scope", OpenApiTypes.STR, enum=LimitScope.values),
    OpenApiParameter("metric", OpenApiTypes.STR, enum=LimitMetric.values),
    OpenApiParameter("state", OpenApiTypes.STR, enum=[one for one in selectors.STATES if one]),
    OpenApiParameter("sort", OpenApiTypes.STR, enum=list(selectors.SORTS)),
    OpenApiParameter("after", OpenApiTypes.STR, description="From the last answer's `next`."),
    OpenApiParameter("limit", OpenApiTypes.INT, description="1 to 200, default 50."),
]


class _View(APIView):
    """What they all need."""

    permission_classes = [HasScope("read")]

    def limit(
        self, request: Request, organization: str, gateway_limit: UUID, role: Role = Role.ADMIN
    ) -> tuple[Membership, Limit]:
        membership = member_of(request, organization, role)
        return membership, selectors.limit_of(membership.organization_id, gateway_limit)


def _json(limit: Limit) -> dict[str, Any]:
    """As it stands now."""
    (row,) = selectors.rows_of([limit], now=timezone.now(), busiest=selectors.BUSIEST)
    return dict(shapes.GatewayLimitSerializer(row).data)


class LimitListView(_View):
    """Limits."""

    @extend_schema(
        operation_id="gateway_limits_list",
        parameters=_LISTING,
        responses=shapes.GatewayLimitPageSerializer,
    )
    def get(self, request: Request, organization: str) -> Response:
        """Limits and how far the busiest subject of each is (people only)."""
        membership = member_of(request, organization)
        refuse_unknown(request.query_params, {one.name for one in _LISTING})
        asked = selectors.read_asked(request.query_params)
        rows, after = selectors.listed(
            membership.organization_id, asked, now=timezone.now(), limit=limit_of(request)
        )
        results = [shapes.GatewayLimitSerializer(row).data for row in rows]
        return Response({"results": results, "next": next_url(request, after)})

    @extend_schema(
        operation_id="gateway_limits_create",
        request=shapes.GatewayLimitDraftSerializer,
        responses={201: shapes.GatewayLimitSerializer},
    )
    def post(self, request: Request, organization: str) -> Response:
        """A new limit (admins); it counts from now on."""
        membership = member_of(request, organization, Role.ADMIN)
        data = valid(shapes.GatewayLimitDraftSerializer(data=request.data))
        made = services.create_limit(
            organization=membership.organization, actor=person(request), now=timezone.now(), **data
        )
        return Response(_json(made), status=201)


class OneLimitView(_View):
    """One limit."""

    @extend_schema(operation_id="gateway_limits_get", responses=shapes.GatewayLimitSerializer)
    def get(self, request: Request, organization: str, gateway_limit: UUID) -> Response:
        """A limit and its fifty busiest subjects."""
        _, row = self.limit(request, organization, gateway_limit, Role.VIEWER)
        return Response(_json(row))

    @extend_schema(
        operation_id="gateway_limits_change",
        request=shapes.GatewayLimitChangeSerializer,
        responses=shapes.GatewayLimitSerializer,
    )
    def patch(self, request: Request, organization: str, gateway_limit: UUID) -> Response:
        """Another name or amount, hard or soft, paused or not (admins)."""
        _, row = self.limit(request, organization, gateway_limit)
        data = valid(shapes.GatewayLimitChangeSerializer(data=request.data))
        changed = services.change_limit(
            limit=row, actor=person(request), now=timezone.now(), **data
        )
        return Response(_json(changed))

    @extend_schema(operation_id="gateway_limits_delete", responses={204: None})
    def delete(self, request: Request, organization: str, gateway_limit: UUID) -> Response:
        """Delete a limit (admins): calls are no longer held to it."""
        _, row = self.limit(request, organization, gateway_limit)
        services.delete_limit(limit=row, actor=person(request))
        return Response(status=204)
