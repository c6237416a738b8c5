"""Maintenance windows in the API: members read, admins change."""

from uuid import UUID

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Role
from accounts.selectors import person
from alerts.events import maintenance_services as services
from alerts.events import serializers as shapes
from alerts.events.api import AFTER, LIMIT, refuse_body
from alerts.events.maintenance_drafts import MaintenanceDraft, read_draft
from alerts.events.maintenance_lists import SORTS, STATES, listed, read_wanted, window_of
from core.api.pagination import limit_of, next_url
from costs.forms import refuse_unknown
from projects.access import HasScope, people_only

_LISTING = [
    OpenApiParameter("q", OpenApiTypes.STR, description="Part of a name."),
    OpenApiParameter(
        "state", OpenApiTypes.STR, enum=[one for one in STATES if one], description="Default: running and planned."
    ),
    OpenApiParameter("project", OpenApiTypes.UUID, description="Only of this project."),
    OpenApiParameter("sort", OpenApiTypes.STR, enum=list(SORTS)),
    LIMIT,
    AFTER,
]  # fmt: skip
_membership = people_only("maintenance windows belong to the organisation.")


def _draft(request: Request, organization_id: UUID) -> MaintenanceDraft:
    body = shapes.MaintenanceDraftSerializer(data=request.data)
    body.is_valid(raise_exception=True)
    return read_draft(organization_id, body.validated_data, now=timezone.now())


def _answer(organization_id: UUID, window_id: UUID, status: int = 200) -> Response:
    row = window_of(organization_id, window_id, timezone.now())
    return Response(shapes.MaintenanceSerializer(row).data, status=status)


class MaintenanceListView(APIView):
    """An organisation's maintenance windows."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="maintenance_list", parameters=_LISTING, responses=shapes.MaintenancePageSerializer
    )  # fmt: skip
    def get(self, request: Request, organization: str) -> Response:
        """Windows with their running or next turn, the next first."""
        found = _membership(request, organization)
        refuse_unknown(request.query_params, {one.name for one in _LISTING})
        rows, after = listed(
            found.organization_id,
            read_wanted(request.query_params),
            now=timezone.now(),
            limit=limit_of(request),
        )
        shown = shapes.MaintenanceSerializer(rows, many=True).data
        return Response({"results": shown, "next": next_url(request, after)})

    @extend_schema(
        operation_id="maintenance_create",
        request=shapes.MaintenanceDraftSerializer,
        responses={201: shapes.MaintenanceSerializer},
    )
    def post(self, request: Request, organization: str) -> Response:
        """Plan a window (admins)."""
        found = _membership(request, organization, Role.ADMIN)
        made = services.create_maintenance(
            draft=_draft(request, found.organization_id), author=person(request), now=timezone.now()
        )
        return _answer(found.organization_id, made.pk, 201)


class MaintenanceView(APIView):
    """One maintenance window."""

    permission_classes = [HasScope("read")]

    @extend_schema(operation_id="maintenance_read", responses=shapes.MaintenanceSerializer)
    def get(self, request: Request, organization: str, maintenance: UUID) -> Response:
        """A window with its running or next turn."""
        return _answer(_membership(request, organization).organization_id, maintenance)

    @extend_schema(
        operation_id="maintenance_replace",
        request=shapes.MaintenanceDraftSerializer,
        responses=shapes.MaintenanceSerializer,
    )
    def put(self, request: Request, organization: str, maintenance: UUID) -> Response:
        """Replace what a window says (admins)."""
        found = _membership(request, organization, Role.ADMIN)
        window_of(found.organization_id, maintenance, timezone.now())
        draft = _draft(request, found.organization_id)
        services.change_maintenance(window_id=maintenance, draft=draft, author=person(request))
        return _answer(found.organization_id, maintenance)

    @extend_schema(operation_id="maintenance_delete", responses={204: None})
    def delete(self, request: Request, organization: str, maintenance: UUID) -> Response:
        """Delete a window (admins); a running one ends by it."""
        found = _membership(request, organization, Role.ADMIN)
        services.delete_maintenance(
            organization_id=found.organization_id, window_id=maintenance, author=person(request)
        )
        return Response(status=204)


class MaintenanceEndView(APIView):
    """Ending a window early."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="maintenance_end", request=None, responses=shapes.MaintenanceSerializer
    )
    def post(self, request: Request, organization: str, maintenance: UUID) -> Response:
        """End the running turn (admins); a repeated window goes on with its next one. 409 when it does not run."""
        found = _membership(request, organization, Role.ADMIN)
        refuse_body(request)
        services.end_maintenance(
            organization_id=found.organization_id,
            window_id=maintenance,
            author=person(request),
            now=timezone.now(),
        )
        return _answer(found.organization_id, maintenance)
