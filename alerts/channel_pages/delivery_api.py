"""Messages of channels for people and their programs: read, send again, cancel."""

from uuid import UUID

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Role
from accounts.selectors import person
from alerts.channel_pages import selectors
from alerts.channel_pages import serializers as shapes
from alerts.channel_pages.api import ChannelView, member_of
from alerts.delivering import cancel, replay
from alerts.models import Delivery, DeliveryState
from core.api.pagination import CursorPages
from core.list_query import read_choice
from costs.forms import refuse_unknown


class DeliveryListView(ChannelView):
    """Messages of a channel."""

    pagination_class = CursorPages

    @extend_schema(
        operation_id="alert_channel_deliveries",
        parameters=[OpenApiParameter("state", OpenApiTypes.STR, enum=DeliveryState.values)],
        responses=shapes.DeliverySerializer(many=True),
    )
    def get(self, request: Request, organization: str, channel: UUID) -> Response:
        """Messages with their tries, newest first."""
        membership, found = self.channel(request, organization, channel)
        refuse_unknown(request.query_params, {"state", "limit", "cursor"})
        rows = Delivery.objects.filter(organization_id=membership.organization_id, channel=found)
        if state := read_choice(request.query_params, "state", DeliveryState.values):
            rows = rows.filter(state=state)
        pages = self.pagination_class()
        page = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response(shapes.DeliverySerializer(page, many=True).data)


class DeliveryView(ChannelView):
    """One message."""

    @extend_schema(operation_id="alert_deliveries_get", responses=shapes.DeliverySerializer)
    def get(self, request: Request, organization: str, delivery: int) -> Response:
        """A message to a channel and its tries."""
        membership = member_of(request, organization)
        found = selectors.delivery_of(membership.organization_id, delivery)
        return Response(shapes.DeliverySerializer(found).data)


class DeliveryReplayView(ChannelView):
    """Sending again."""

    @extend_schema(
        operation_id="alert_deliveries_replay", request=None, responses={202: shapes.DeliverySerializer}
    )  # fmt: skip
    def post(self, request: Request, organization: str, delivery: int) -> Response:
        """Send a message that was given up again, with the same id (admins)."""
        membership = member_of(request, organization, Role.ADMIN)
        found = selectors.delivery_of(membership.organization_id, delivery)
        replay(deliveries=[found], actor=person(request), now=timezone.now())
        found.refresh_from_db()
        return Response(shapes.DeliverySerializer(found).data, status=202)


class DeliveryCancellationView(ChannelView):
    """Cancelling."""

    @extend_schema(
        operation_id="alert_deliveries_cancel", request=None, responses=shapes.DeliverySerializer
    )
    def post(self, request: Request, organization: str, delivery: int) -> Response:
        """Do not send a message that waits (admins)."""
        membership = member_of(request, organization, Role.ADMIN)
        found = selectors.delivery_of(membership.organization_id, delivery)
        cancel(deliveries=[found], actor=person(request), now=timezone.now())
        found.refresh_from_db()
        return Response(shapes.DeliverySerializer(found).data)
