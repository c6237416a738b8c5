"""Incidents for programs and people. People act with their role; a key reads the incidents of its project's rules."""

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
from alerts import acting
from alerts.events import lists, selectors
from alerts.events import serializers as shapes
from alerts.events.deliveries import cancel_messages, replay_messages
from alerts.events.details import deliveries_of, entries_of
from alerts.models import AlertEvent
from core.api.pagination import limit_of, next_url
from core.api.serializers import StrictSerializer
from core.errors import DomainError, NotFoundError
from costs.forms import refuse_unknown
from projects.access import HasScope, people_only, project_from_api

LIMIT = OpenApiParameter("limit", OpenApiTypes.INT, description="1 to 200, default 50.")
AFTER = OpenApiParameter("after", OpenApiTypes.STR, description="From `next` of the page before.")
_SHARED = [
    OpenApiParameter("state", OpenApiTypes.STR, enum=[one for one in lists.STATES if one]),
    OpenApiParameter("severity", OpenApiTypes.STR, enum=[one for one in lists.SEVERITIES if one]),
    OpenApiParameter("kind", OpenApiTypes.STR, enum=[one for one in lists.KINDS if one]),
    OpenApiParameter("rule", OpenApiTypes.UUID, description="Only of this rule."),
    OpenApiParameter("q", OpenApiTypes.STR, description="Part of a title, rule, subject or the words."),
    OpenApiParameter("range", OpenApiTypes.STR, description="Fired in it: 24h, 30d, or two instants with `..`."),
    OpenApiParameter("sort", OpenApiTypes.STR, enum=list(lists.SORTS)),
    LIMIT,
    AFTER,
]  # fmt: skip
_LISTING = [OpenApiParameter("project", OpenApiTypes.UUID, description="Only of this project."), *_SHARED]  # fmt: skip

membership_of = people_only(
    "read the incidents of its rules at /api/v1/projects/<project>/alerts/events."
)


def refuse_body(request: Request) -> None:
    """For requests that say everything by their address."""
    StrictSerializer(data=request.data or {}).is_valid(raise_exception=True)


def _page(
    request: Request, organization_id: UUID, known: set[str], project_id: UUID | None = None
) -> Response:
    refuse_unknown(request.query_params, known)
    asked = lists.read_asked(request.query_params, now=timezone.now(), default_range="")
    asked = replace(asked, project_id=project_id or asked.project_id)
    rows = selectors.events_of(organization_id)
    page = selectors.events_page(rows, asked, limit=limit_of(request))
    shown = shapes.AlertEventSerializer(page.rows, many=True).data
    return Response({"results": shown, "next": next_url(request, page.after)})


def _whole(event: AlertEvent) -> Response:
    context = {"entries": entries_of(event)}
    return Response(shapes.AlertEventDetailSerializer(event, context=context).data)


class AlertEventListView(APIView):
    """An organisation's incidents."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="alert_events_list", parameters=_LISTING, responses=shapes.AlertEventPageSerializer
    )  # fmt: skip
    def get(self, request: Request, organization: str) -> Response:
        """Incidents, newest first; `state=open` is what is not resolved."""
        found = membership_of(request, organization)
        return _page(request, found.organization_id, {one.name for one in _LISTING})


class ProjectAlertEventListView(APIView):
    """A project's incidents."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="alert_events_of_project", parameters=_SHARED, responses=shapes.AlertEventPageSerializer
    )  # fmt: skip
    def get(self, request: Request, project: str) -> Response:
        """Incidents of the project's rules, newest first; `state=open` is what is not resolved."""
        found = project_from_api(request, project, "read")
        return _page(request, found.organization_id, {one.name for one in _SHARED}, found.pk)


class ProjectAlertEventView(APIView):
    """One incident of a project."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="alert_event_of_project", responses=shapes.AlertEventDetailSerializer
    )
    def get(self, request: Request, project: str, event: UUID) -> Response:
        """The incident with its evidence and timeline."""
        found = project_from_api(request, project, "read")
        row = selectors.event_of(found.organization_id, event)
        if row.project_id != found.pk:
            raise NotFoundError("There is no such incident.")
        return _whole(row)


class AlertEventView(APIView):
    """One incident."""

    permission_classes = [HasScope("read")]

    @extend_schema(operation_id="alert_event_read", responses=shapes.AlertEventDetailSerializer)
    def get(self, request: Request, organization: str, event: UUID) -> Response:
        """The incident with its evidence and timeline."""
        return _whole(_found(request, organization, event, Role.VIEWER))


class AlertEventAcknowledgementView(APIView):
    """Who looks after an incident."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="alert_event_acknowledge", request=None, responses=shapes.AlertEventDetailSerializer
    )  # fmt: skip
    def post(self, request: Request, organization: str, event: UUID) -> Response:
        """Say that one looks after it. 409 when somebody does, or it is over."""
        row = _found(request, organization, event)
        refuse_body(request)
        acting.acknowledge(event=row, actor=person(request), now=timezone.now())
        return _again(row)

    @extend_schema(
        operation_id="alert_event_unacknowledge", request=None, responses=shapes.AlertEventDetailSerializer
    )  # fmt: skip
    def delete(self, request: Request, organization: str, event: UUID) -> Response:
        """Take that back. 409 when nobody does."""
        row = _found(request, organization, event)
        acting.unacknowledge(event=row, actor=person(request), now=timezone.now())
        return _again(row)


class AlertEventSnoozeView(APIView):
    """Whether one is quiet about an incident."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="alert_event_snooze", request=shapes.SnoozeSerializer, responses=shapes.AlertEventDetailSerializer
    )  # fmt: skip
    def post(self, request: Request, organization: str, event: UUID) -> Response:
        """Tell nobody until then, unless it becomes more severe. 409 when it is over."""
        row = _found(request, organization, event)
        body = shapes.SnoozeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        acting.snooze(
            event=row,
            until=body.validated_data["until"],
            actor=person(request),
            now=timezone.now(),
        )
        return _again(row)

    @extend_schema(
        operation_id="alert_event_wake", request=None, responses=shapes.AlertEventDetailSerializer
    )
    def delete(self, request: Request, organization: str, event: UUID) -> Response:
        """End the snooze. 409 when it is not snoozed."""
        row = _found(request, organization, event)
        acting.wake(event=row, actor=person(request), now=timezone.now())
        return _again(row)


class AlertEventCommentView(APIView):
    """What people say about an incident."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="alert_event_comment",
        request=shapes.EventCommentSerializer,
        responses={201: shapes.EventEntrySerializer},
    )
    def post(self, request: Request, organization: str, event: UUID) -> Response:
        """Say something in its timeline, also when it is over."""
        row = _found(request, organization, event)
        body = shapes.EventCommentSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        entry = acting.comment(
            event=row,
            actor=person(request),
            words=body.validated_data["words"],
            now=timezone.now(),
        )
        return Response(shapes.EventEntrySerializer(entry).data, status=201)


class EventDeliveryListView(APIView):
    """The messages about an incident."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="alert_event_deliveries", parameters=[LIMIT, AFTER], responses=shapes.EventDeliveryPageSerializer
    )  # fmt: skip
    def get(self, request: Request, organization: str, event: UUID) -> Response:
        """Messages with every try, newest first."""
        row = _found(request, organization, event, Role.VIEWER)
        refuse_unknown(request.query_params, {"limit", "after"})
        limit = limit_of(request)
        found = deliveries_of(row, limit + 1, before=_place(request))
        shown = shapes.EventDeliverySerializer(found[:limit], many=True).data
        after = str(found[limit - 1].row.pk) if len(found) > limit else ""
        return Response({"results": shown, "next": next_url(request, after)})


def _place(request: Request) -> int | None:
    text = request.query_params.get("after", "")
    if text and not (text.isascii() and text.isdigit() and len(text) < 19):
        raise DomainError(f"after is {text[:40]!r}; it must be a message's id.", fields=["after"])
    return int(text) if text else None


class EventDeliveryReplayView(APIView):
    """Sending a message again."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="alert_event_delivery_replay", request=None, responses=shapes.EventDeliverySerializer
    )  # fmt: skip
    def post(self, request: Request, organization: str, event: UUID, delivery: int) -> Response:
        """Send a message again that was given up or cancelled, with the same id. 409 for any other."""
        return _message(request, _found(request, organization, event), delivery, replay_messages)


class EventDeliveryCancellationView(APIView):
    """Giving a waiting message up."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="alert_event_delivery_cancel", request=None, responses=shapes.EventDeliverySerializer
    )  # fmt: skip
    def post(self, request: Request, organization: str, event: UUID, delivery: int) -> Response:
        """Do not send a message that waits. 409 for any other."""
        return _message(request, _found(request, organization, event), delivery, cancel_messages)


def _message(request: Request, event: AlertEvent, delivery: int, act: Any) -> Response:
    refuse_body(request)
    if not event.deliveries.filter(pk=delivery).exists():
        raise NotFoundError("There is no such message of this incident.")
    act(event=event, ids=[str(delivery)], actor=person(request), now=timezone.now())
    found = deliveries_of(event, 1, before=delivery + 1)
    return Response(shapes.EventDeliverySerializer(found[0]).data)


def _found(
    request: Request, organization: str, event: UUID, role: Role = Role.MEMBER
) -> AlertEvent:
    membership = membership_of(request, organization, role)
    return selectors.event_of(membership.organization_id, event)


def _again(event: AlertEvent) -> Response:
    return _whole(selectors.fresh(event))
