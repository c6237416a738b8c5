"""Saved reports for programs that act as a person: the same rules as on the pages."""

from typing import Any
from uuid import UUID

from django.http import QueryDict
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Membership, Role
from accounts.selectors import person
from core.api.pagination import limit_of, next_url
from core.api.serializers import StrictSerializer
from core.errors import NotFoundError
from costs.explorer import reports, sending
from costs.explorer.answers import project_ids_of
from costs.explorer.api import ExploreAPIView, ExploreSerializer
from costs.explorer.query import FORMATS
from costs.explorer.report_lists import SORTS, WHOSE, listed, read_wanted
from costs.explorer.reports import MAX_RECIPIENTS, ReportDraft, ScheduleDraft
from costs.forms import choice, refuse_unknown
from costs.models import CostReport, ReportRecipient, ReportSchedule
from projects.access import HasScope, people_only

_LISTING = [
    OpenApiParameter("q", OpenApiTypes.STR, description="Part of a name."),
    OpenApiParameter("whose", OpenApiTypes.STR, enum=[one for one in WHOSE if one]),
    OpenApiParameter("sort", OpenApiTypes.STR, enum=list(SORTS)),
    OpenApiParameter("after", OpenApiTypes.STR, description="Where the page begins."),
    OpenApiParameter("limit", OpenApiTypes.INT, description="1 to 200, default 50."),
]


class ReportDraftSerializer(StrictSerializer):
    """A report to save."""

    name = serializers.CharField(max_length=120)
    query = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=8000,
        help_text="The query string of `GET …/costs/explore`; default: cost by model of 30 days",
    )
    is_shared = serializers.BooleanField(required=False, help_text="Everybody in the organisation")


class ReportChangeSerializer(ReportDraftSerializer):
    """What changes of a report."""

    name = serializers.CharField(max_length=120, required=False)


class ReportScheduleDraftSerializer(StrictSerializer):
    """When a report is sent, and to whom."""

    frequency = serializers.ChoiceField(choices=ReportSchedule.Frequency.choices)
    recipients = serializers.ListField(
        child=serializers.UUIDField(),
        max_length=MAX_RECIPIENTS,
        help_text="Ids of members of the organisation",
    )
    hour = serializers.IntegerField(required=False, help_text="0 to 23, default 8")
    weekday = serializers.IntegerField(required=False, help_text="0 is Monday, the default")
    month_day = serializers.IntegerField(required=False, help_text="1 to 28, default 1")
    time_zone = serializers.CharField(required=False, max_length=64, help_text="Default UTC")
    covers = serializers.ChoiceField(
        choices=ReportSchedule.Covers.choices,
        required=False,
        help_text="before (default): the whole UTC day, week or month before; report: the report's own range",
    )
    is_active = serializers.BooleanField(required=False)


class ReportScheduleSerializer(serializers.Serializer[Any]):
    """A schedule as it stands."""

    frequency = serializers.CharField()
    hour = serializers.IntegerField()
    weekday = serializers.IntegerField()
    month_day = serializers.IntegerField()
    time_zone = serializers.CharField()
    covers = serializers.CharField()
    is_active = serializers.BooleanField()
    next_run_at = serializers.DateTimeField(allow_null=True)
    last_sent_at = serializers.DateTimeField(allow_null=True)
    last_error = serializers.CharField()
    recipients = serializers.SerializerMethodField(help_text="Ids of people")
    unsubscribed = serializers.SerializerMethodField(help_text="Ids of those who stopped it")

    def get_recipients(self, schedule: ReportSchedule) -> list[UUID]:
        return _people(schedule, has_left=False)

    def get_unsubscribed(self, schedule: ReportSchedule) -> list[UUID]:
        return _people(schedule, has_left=True)


class CostReportSerializer(serializers.Serializer[Any]):
    """A saved report."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    query = serializers.CharField(help_text="As in the explorer's address")
    is_shared = serializers.BooleanField()
    author = serializers.EmailField(source="author.email", default=None, allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    is_scheduled = serializers.SerializerMethodField()

    def get_is_scheduled(self, report: CostReport) -> bool:
        return hasattr(report, "schedule")


class ReportPageSerializer(serializers.Serializer[Any]):
    """A page of reports."""

    results = CostReportSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class ReportSendingSerializer(serializers.Serializer[Any]):
    """What was queued."""

    recipients = serializers.IntegerField()


def _people(schedule: ReportSchedule, *, has_left: bool) -> list[UUID]:
    rows = ReportRecipient.objects.filter(schedule=schedule, unsubscribed_at__isnull=not has_left)
    return list(rows.order_by("user_id").values_list("user_id", flat=True))


_membership = people_only(
    "reports belong to people of an organisation. Ask /api/v1/projects/<project>/costs/explore."
)


def _clean(membership: Membership, query: str) -> str:
    return reports.clean_query(
        query, project_ids=project_ids_of(membership.organization_id), now=timezone.now()
    )


def _checked(shape: type[StrictSerializer], request: Request) -> dict[str, Any]:
    given = shape(data=request.data)
    given.is_valid(raise_exception=True)
    found: dict[str, Any] = given.validated_data
    return found


class ReportListView(APIView):
    """Saved reports."""

    permission_classes = [HasScope("read")]

    @extend_schema(operation_id="reports_list", parameters=_LISTING, responses=ReportPageSerializer)
    def get(self, request: Request, organization: str) -> Response:
        """One's own reports and the shared ones (people only)."""
        membership = _membership(request, organization)
        refuse_unknown(request.query_params, {one.name for one in _LISTING})
        wanted = read_wanted(request.query_params)
        found, after = listed(
            membership.organization_id, membership.user, wanted, limit=limit_of(request)
        )
        results = CostReportSerializer(found, many=True).data
        return Response({"results": results, "next": next_url(request, after)})

    @extend_schema(
        operation_id="reports_create",
        request=ReportDraftSerializer,
        responses={201: CostReportSerializer},
    )
    def post(self, request: Request, organization: str) -> Response:
        """Save a report (members)."""
        membership = _membership(request, organization, Role.MEMBER)
        data = _checked(ReportDraftSerializer, request)
        saved = reports.save_report(
            organization=membership.organization,
            draft=ReportDraft(
                data["name"],
                _clean(membership, data.get("query", "")),
                data.get("is_shared", False),
            ),
            author=person(request),
        )
        return Response(CostReportSerializer(saved).data, status=201)


class ReportView(APIView):
    """One report."""

    permission_classes = [HasScope("read")]

    @extend_schema(operation_id="reports_get", responses=CostReportSerializer)
    def get(self, request: Request, organization: str, report: UUID) -> Response:
        """One's own report, or a shared one."""
        membership = _membership(request, organization)
        found = reports.report_of(membership.organization_id, membership.user, report)
        return Response(CostReportSerializer(found).data)

    @extend_schema(
        operation_id="reports_change",
        request=ReportChangeSerializer,
        responses=CostReportSerializer,
    )
    def patch(self, request: Request, organization: str, report: UUID) -> Response:
        """Change name, question or sharing (its author; admins a shared one)."""
        membership = _membership(request, organization, Role.MEMBER)
        found = reports.changeable_report(membership, report)
        data = _checked(ReportChangeSerializer, request)
        query = _clean(membership, data["query"]) if "query" in data else found.query
        draft = ReportDraft(data.get("name", found.name), query, data.get("is_shared", found.is_shared))  # fmt: skip
        saved = reports.save_report(
            organization=membership.organization,
            draft=draft,
            author=person(request),
            report=found,
        )
        return Response(CostReportSerializer(saved).data)

    @extend_schema(operation_id="reports_delete", responses={204: None})
    def delete(self, request: Request, organization: str, report: UUID) -> Response:
        """Delete a report and its schedule (its author; admins a shared one)."""
        membership = _membership(request, organization, Role.MEMBER)
        found = reports.changeable_report(membership, report)
        reports.delete_report(report=found, actor=person(request))
        return Response(status=204)


class ReportAnswerView(ExploreAPIView):
    """A report's answer."""

    @extend_schema(
        operation_id="reports_answer",
        parameters=[OpenApiParameter("format", OpenApiTypes.STR, enum=list(FORMATS))],
        responses=ExploreSerializer,
    )
    def get(self, request: Request, organization: str, report: UUID) -> HttpResponseBase:
        """What the report says now, as `GET …/costs/explore` answers."""
        membership = _membership(request, organization)
        found = reports.report_of(membership.organization_id, membership.user, report)
        refuse_unknown(request.query_params, {"format"})
        query = QueryDict(found.query, mutable=True)
        query["format"] = choice(request.query_params, "format", FORMATS, "json")
        return self.answered(query, project_ids_of(membership.organization_id))


class ReportScheduleView(APIView):
    """When a report is sent."""

    permission_classes = [HasScope("read")]

    @extend_schema(operation_id="reports_schedule_get", responses=ReportScheduleSerializer)
    def get(self, request: Request, organization: str, report: UUID) -> Response:
        """Its schedule and recipients; 404 without one."""
        membership = _membership(request, organization)
        found = reports.report_of(membership.organization_id, membership.user, report)
        return Response(ReportScheduleSerializer(_schedule(found)).data)

    @extend_schema(
        operation_id="reports_schedule_set",
        request=ReportScheduleDraftSerializer,
        responses=ReportScheduleSerializer,
    )
    def put(self, request: Request, organization: str, report: UUID) -> Response:
        """Send it at these times to these members; who unsubscribed stays so."""
        membership = _membership(request, organization, Role.MEMBER)
        found = reports.changeable_report(membership, report)
        data = _checked(ReportScheduleDraftSerializer, request)
        schedule = reports.schedule_report(
            report=found, draft=ScheduleDraft(**data), actor=person(request), now=timezone.now()
        )
        return Response(ReportScheduleSerializer(schedule).data)

    @extend_schema(operation_id="reports_schedule_delete", responses={204: None})
    def delete(self, request: Request, organization: str, report: UUID) -> Response:
        """Send it no more."""
        membership = _membership(request, organization, Role.MEMBER)
        found = reports.changeable_report(membership, report)
        reports.unschedule_report(report=found, actor=person(request))
        return Response(status=204)


class ReportSendingView(APIView):
    """Sending now."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="reports_send", request=None, responses={202: ReportSendingSerializer}
    )
    def post(self, request: Request, organization: str, report: UUID) -> Response:
        """Queue it for everybody on its list, once a minute at most."""
        membership = _membership(request, organization, Role.MEMBER)
        found = reports.changeable_report(membership, report)
        count = sending.send_now(schedule=_schedule(found), now=timezone.now())
        return Response({"recipients": count}, status=202)


def _schedule(report: CostReport) -> ReportSchedule:
    found = reports.schedule_of(report)
    if found is None:
        raise NotFoundError("This report has no schedule.")
    return found
