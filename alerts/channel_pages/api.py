"""Channels for people and their programs: make, change, test, read. Keys of projects are refused."""

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
from alerts.channel_pages import selectors, services
from alerts.channel_pages import serializers as shapes
from alerts.channels.registry import plugins
from alerts.models import Channel, ChannelKind
from core.api.pagination import limit_of, next_url
from costs.forms import refuse_unknown
from projects.access import HasScope, people_only
from projects.api import valid

member_of = people_only("channels are the organisation's and need a person.")
_LISTING = [
    OpenApiParameter("q", OpenApiTypes.STR, description="Part of a name or receiver."),
    OpenApiParameter("kind", OpenApiTypes.STR, enum=ChannelKind.values),
    OpenApiParameter("state", OpenApiTypes.STR, enum=[one for one in selectors.STATES if one]),
    OpenApiParameter("sort", OpenApiTypes.STR, enum=list(selectors.SORTS)),
    OpenApiParameter("after", OpenApiTypes.STR, description="From the last answer's `next`."),
    OpenApiParameter("limit", OpenApiTypes.INT, description="1 to 200, default 50."),
]


def _row(membership: Membership, channel_id: UUID) -> selectors.Row:
    """As it is stored now."""
    return selectors.rows_of([selectors.channel_of(membership.organization_id, channel_id)])[0]


class ChannelView(APIView):
    """What they all need."""

    permission_classes = [HasScope("read")]

    def channel(
        self, request: Request, organization: str, channel: UUID, role: Role = Role.VIEWER
    ) -> tuple[Membership, Channel]:
        membership = member_of(request, organization, role)
        return membership, selectors.channel_of(membership.organization_id, channel)


class KindListView(ChannelView):
    """Kinds."""

    @extend_schema(
        operation_id="alert_channel_kinds", responses=shapes.ChannelKindSerializer(many=True)
    )
    def get(self, request: Request, organization: str) -> Response:
        """The kinds of channels, and what each needs."""
        member_of(request, organization)
        return Response(shapes.ChannelKindSerializer(plugins(), many=True).data)


class ChannelListView(ChannelView):
    """Channels."""

    @extend_schema(
        operation_id="alert_channels_list",
        parameters=_LISTING,
        responses=shapes.ChannelPageSerializer,
    )
    def get(self, request: Request, organization: str) -> Response:
        """Channels with how they stand (people only)."""
        membership = member_of(request, organization)
        refuse_unknown(request.query_params, {one.name for one in _LISTING})
        asked = selectors.read_asked(request.query_params)
        rows, after = selectors.listed(membership.organization_id, asked, limit=limit_of(request))
        results = [shapes.channel_json(row) for row in rows]
        return Response({"results": results, "next": next_url(request, after)})

    @extend_schema(
        operation_id="alert_channels_create",
        request=shapes.ChannelDraftSerializer,
        responses={201: shapes.SavedChannelSerializer},
    )
    def post(self, request: Request, organization: str) -> Response:
        """Add a channel (admins). Its address is checked; nothing is sent."""
        membership = member_of(request, organization, Role.ADMIN)
        data = valid(shapes.ChannelDraftSerializer(data=request.data))
        saved = services.create_channel(
            organization=membership.organization, actor=person(request), now=timezone.now(), **data
        )
        row = _row(membership, saved.channel.pk)
        return Response(shapes.saved_json(row, saved.shown), status=201)


class OneChannelView(ChannelView):
    """One channel."""

    @extend_schema(operation_id="alert_channels_get", responses=shapes.ChannelSerializer)
    def get(self, request: Request, organization: str, channel: UUID) -> Response:
        """A channel and how it stands."""
        _, found = self.channel(request, organization, channel)
        return Response(shapes.channel_json(selectors.rows_of([found])[0]))

    @extend_schema(
        operation_id="alert_channels_change",
        request=shapes.ChannelChangeSerializer,
        responses=shapes.SavedChannelSerializer,
    )
    def patch(self, request: Request, organization: str, channel: UUID) -> Response:
        """Change, switch on or off (admins). With another address the secrets have to be given again."""
        membership, found = self.channel(request, organization, channel, Role.ADMIN)
        data: dict[str, Any] = valid(shapes.ChannelChangeSerializer(data=request.data))
        is_enabled, actor, now = data.pop("is_enabled", None), person(request), timezone.now()
        saved = services.change_channel(channel=found, actor=actor, now=now, **data)
        if is_enabled is not None:
            switch = services.enable_channel if is_enabled else services.disable_channel
            switch(channel=found, actor=actor, now=now)
        return Response(shapes.saved_json(_row(membership, found.pk), saved.shown))

    @extend_schema(operation_id="alert_channels_delete", responses={204: None})
    def delete(self, request: Request, organization: str, channel: UUID) -> Response:
        """Delete a channel, its secret and its messages (admins)."""
        _, found = self.channel(request, organization, channel, Role.ADMIN)
        services.delete_channel(channel=found, actor=person(request))
        return Response(status=204)


class ChannelTestView(ChannelView):
    """Tests."""

    @extend_schema(
        operation_id="alert_channels_test", request=None, responses={202: shapes.DeliverySerializer}
    )
    def post(self, request: Request, organization: str, channel: UUID) -> Response:
        """Send a test (admins); ask for the message until it has ended. At most five a minute."""
        _, found = self.channel(request, organization, channel, Role.ADMIN)
        made = services.test_channel(channel=found, actor=person(request), now=timezone.now())
        return Response(shapes.DeliverySerializer(made).data, status=202)


class ChannelSecretView(ChannelView):
    """Signing secrets."""

    @extend_schema(
        operation_id="alert_channels_rotate", request=None, responses={201: shapes.SigningSecretSerializer}
    )  # fmt: skip
    def post(self, request: Request, organization: str, channel: UUID) -> Response:
        """A new signing secret of a webhook (admins); the one before signs too for 24 hours."""
        _, found = self.channel(request, organization, channel, Role.ADMIN)
        saved = services.rotate_secret(channel=found, actor=person(request), now=timezone.now())
        return Response({"signing_secret": saved.shown}, status=201)
