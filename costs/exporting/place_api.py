"""Schedules and destinations of exports for people's programs."""

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Membership, Role
from accounts.selectors import person
from costs.exporting import destinations, schedules
from costs.exporting import serializers as shapes
from costs.exporting.api import membership_of
from costs.exporting.destinations import DestinationDraft
from costs.exporting.forms import place_of
from costs.exporting.schedules import ScheduleDraft
from costs.models import ExportDestination, ExportSchedule
from projects.access import HasScope
from projects.api import valid


def _destination(
    request: Request, membership: Membership, one: ExportDestination | None = None
) -> ExportDestination:
    data: dict[str, Any] = valid(shapes.ExportDestinationDraftSerializer(data=request.data))
    return destinations.save_destination(
        organization=membership.organization,
        draft=DestinationDraft(**data),
        destination=one,
        actor=person(request),
    )


class ExportDestinationListView(APIView):
    """Buckets that exports can go to."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="export_destinations_list",
        responses=shapes.ExportDestinationSerializer(many=True),
    )
    def get(self, request: Request, organization: str) -> Response:
        """By name; never their secrets."""
        membership = membership_of(request, organization)
        found = destinations.destinations_of(membership.organization_id)
        return Response(shapes.ExportDestinationSerializer(found, many=True).data)

    @extend_schema(
        operation_id="export_destinations_create",
        request=shapes.ExportDestinationDraftSerializer,
        responses={201: shapes.ExportDestinationSerializer},
    )
    def post(self, request: Request, organization: str) -> Response:
        """Save a bucket (admins); check it next."""
        membership = membership_of(request, organization, Role.ADMIN)
        one = _destination(request, membership)
        return Response(shapes.ExportDestinationSerializer(one).data, status=201)


class ExportDestinationView(APIView):
    """One bucket."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="export_destinations_get", responses=shapes.ExportDestinationSerializer
    )
    def get(self, request: Request, organization: str, export_destination: UUID) -> Response:
        """How it stands."""
        membership = membership_of(request, organization)
        one = destinations.destination_of(membership.organization_id, export_destination)
        return Response(shapes.ExportDestinationSerializer(one).data)

    @extend_schema(
        operation_id="export_destinations_replace",
        request=shapes.ExportDestinationDraftSerializer,
        responses=shapes.ExportDestinationSerializer,
    )
    def put(self, request: Request, organization: str, export_destination: UUID) -> Response:
        """Change it (admins); without `secret` the stored one stays."""
        membership = membership_of(request, organization, Role.ADMIN)
        one = destinations.destination_of(membership.organization_id, export_destination)
        saved = _destination(request, membership, one)
        return Response(shapes.ExportDestinationSerializer(saved).data)

    @extend_schema(operation_id="export_destinations_remove", responses={204: None})
    def delete(self, request: Request, organization: str, export_destination: UUID) -> Response:
        """Forget it and its secret (admins). 409 while a schedule uses it."""
        membership = membership_of(request, organization, Role.ADMIN)
        one = destinations.destination_of(membership.organization_id, export_destination)
        destinations.remove_destination(destination=one, actor=person(request))
        return Response(status=204)


class ExportDestinationCheckView(APIView):
    """The connection check."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="export_destinations_check",
        request=None,
        responses=shapes.ExportDestinationSerializer,
    )
    def post(self, request: Request, organization: str, export_destination: UUID) -> Response:
        """Write and delete a probe object (admins); `status` says what came of it."""
        membership = membership_of(request, organization, Role.ADMIN)
        one = destinations.destination_of(membership.organization_id, export_destination)
        checked = destinations.check_destination(
            destination=one, now=timezone.now(), actor=person(request)
        )
        return Response(shapes.ExportDestinationSerializer(checked).data)


def _schedule(
    request: Request, membership: Membership, one: ExportSchedule | None = None
) -> ExportSchedule:
    data: dict[str, Any] = valid(shapes.ExportScheduleDraftSerializer(data=request.data))
    data["is_machine"] = data.pop("flavour", "") == "machine"
    place = place_of(membership.organization_id, str(data.pop("destination", None) or ""))
    return schedules.save_schedule(
        organization=membership.organization,
        draft=ScheduleDraft(destination=place, **data),
        schedule=one,
        now=timezone.now(),
        actor=person(request),
    )


class ExportScheduleListView(APIView):
    """Exports by the clock."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="export_schedules_list", responses=shapes.ExportScheduleSerializer(many=True)
    )
    def get(self, request: Request, organization: str) -> Response:
        """By name."""
        membership = membership_of(request, organization)
        found = schedules.schedules_of(membership.organization_id)
        return Response(shapes.ExportScheduleSerializer(found, many=True).data)

    @extend_schema(
        operation_id="export_schedules_create",
        request=shapes.ExportScheduleDraftSerializer,
        responses={201: shapes.ExportScheduleSerializer},
    )
    def post(self, request: Request, organization: str) -> Response:
        """Save a schedule (members)."""
        membership = membership_of(request, organization, Role.MEMBER)
        one = _schedule(request, membership)
        return Response(shapes.ExportScheduleSerializer(one).data, status=201)


class ExportScheduleView(APIView):
    """One schedule."""

    permission_classes = [HasScope("read")]

    @extend_schema(operation_id="export_schedules_get", responses=shapes.ExportScheduleSerializer)
    def get(self, request: Request, organization: str, export_schedule: UUID) -> Response:
        """What it sends, when it ran, what it said. Its runs: …/exports?schedule=<id>."""
        membership = membership_of(request, organization)
        one = schedules.schedule_of(membership.organization_id, export_schedule)
        return Response(shapes.ExportScheduleSerializer(one).data)

    @extend_schema(
        operation_id="export_schedules_replace",
        request=shapes.ExportScheduleDraftSerializer,
        responses=shapes.ExportScheduleSerializer,
    )
    def put(self, request: Request, organization: str, export_schedule: UUID) -> Response:
        """Change it (members); when what it sends changes, everything is sent anew."""
        membership = membership_of(request, organization, Role.MEMBER)
        one = schedules.schedule_of(membership.organization_id, export_schedule)
        saved = _schedule(request, membership, one)
        return Response(shapes.ExportScheduleSerializer(saved).data)

    @extend_schema(
        operation_id="export_schedules_pause",
        request=shapes.ExportSchedulePauseSerializer,
        responses=shapes.ExportScheduleSerializer,
    )
    def patch(self, request: Request, organization: str, export_schedule: UUID) -> Response:
        """Pause it or let it go on (members)."""
        membership = membership_of(request, organization, Role.MEMBER)
        data: dict[str, Any] = valid(shapes.ExportSchedulePauseSerializer(data=request.data))
        one = schedules.pause_schedule(
            schedule=schedules.schedule_of(membership.organization_id, export_schedule),
            is_paused=data["is_paused"],
            now=timezone.now(),
            actor=person(request),
        )
        return Response(shapes.ExportScheduleSerializer(one).data)

    @extend_schema(operation_id="export_schedules_remove", responses={204: None})
    def delete(self, request: Request, organization: str, export_schedule: UUID) -> Response:
        """Forget it (members); what it sent stays."""
        membership = membership_of(request, organization, Role.MEMBER)
        one = schedules.schedule_of(membership.organization_id, export_schedule)
        schedules.remove_schedule(schedule=one, actor=person(request))
        return Response(status=204)


class ExportScheduleRunView(APIView):
    """A run by hand."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="export_schedules_run",
        request=None,
        responses={202: shapes.CostExportSerializer, 204: None},
    )
    def post(self, request: Request, organization: str, export_schedule: UUID) -> Response:
        """202 and the export that runs now (members); 204 when nothing has changed since the last run."""
        membership = membership_of(request, organization, Role.MEMBER)
        one = schedules.schedule_of(membership.organization_id, export_schedule)
        job = schedules.run_schedule(schedule=one, now=timezone.now(), actor=person(request))
        if job is None:
            return Response(status=204)
        return Response(shapes.CostExportSerializer(job).data, status=202)
