"""Connections for people and their programs: make, change, test, rotate. Keys of projects are refused."""

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
from gateway.connections import checking, holding, selectors, services
from gateway.connections import serializers as shapes
from gateway.connections.providers import PROVIDERS
from gateway.models import Connection, ConnectionKey, ProviderKind
from projects.access import HasScope, people_only
from projects.api import valid

member_of = people_only("connections are the organisation's and need a person.")
_LISTING = [
    OpenApiParameter("q", OpenApiTypes.STR, description="Part of a name, address or model."),
    OpenApiParameter("kind", OpenApiTypes.STR, enum=ProviderKind.values),
    OpenApiParameter("state", OpenApiTypes.STR, enum=[one for one in selectors.STATES if one]),
    OpenApiParameter("sort", OpenApiTypes.STR, enum=list(selectors.SORTS)),
    OpenApiParameter("after", OpenApiTypes.STR, description="From the last answer's `next`."),
    OpenApiParameter("limit", OpenApiTypes.INT, description="1 to 200, default 50."),
]


class _View(APIView):
    """What they all need."""

    permission_classes = [HasScope("read")]

    def connection(
        self, request: Request, organization: str, connection: UUID, role: Role = Role.ADMIN
    ) -> tuple[Membership, Connection]:
        membership = member_of(request, organization, role)
        return membership, selectors.connection_of(membership.organization_id, connection)

    def key(
        self, request: Request, organization: str, connection: UUID, key: UUID
    ) -> tuple[Membership, ConnectionKey]:
        membership, found = self.connection(request, organization, connection)
        return membership, selectors.key_of(found, key)


def _json(membership: Membership, connection_id: UUID) -> dict[str, Any]:
    """As it is stored now."""
    row = selectors.connection_of(membership.organization_id, connection_id)
    shown = selectors.rows_of([row], now=timezone.now())[0]
    return dict(shapes.GatewayConnectionSerializer(shown).data)


class KindListView(_View):
    """Kinds."""

    @extend_schema(
        operation_id="gateway_connection_kinds",
        responses=shapes.ConnectionKindSerializer(many=True),
    )
    def get(self, request: Request, organization: str) -> Response:
        """The kinds of providers, and what a connection of each needs."""
        member_of(request, organization)
        return Response(shapes.ConnectionKindSerializer(list(PROVIDERS.values()), many=True).data)


class ConnectionListView(_View):
    """Connections."""

    @extend_schema(
        operation_id="gateway_connections_list",
        parameters=_LISTING,
        responses=shapes.GatewayConnectionPageSerializer,
    )
    def get(self, request: Request, organization: str) -> Response:
        """Connections with their keys and how they stand (people only)."""
        membership = member_of(request, organization)
        refuse_unknown(request.query_params, {one.name for one in _LISTING})
        asked = selectors.read_asked(request.query_params)
        rows, after = selectors.listed(
            membership.organization_id, asked, now=timezone.now(), limit=limit_of(request)
        )
        results = [shapes.GatewayConnectionSerializer(row).data for row in rows]
        return Response({"results": results, "next": next_url(request, after)})

    @extend_schema(
        operation_id="gateway_connections_create",
        request=shapes.GatewayConnectionDraftSerializer,
        responses={201: shapes.GatewayConnectionSerializer},
    )
    def post(self, request: Request, organization: str) -> Response:
        """Add a connection (admins). Its address is checked; nothing is sent."""
        membership = member_of(request, organization, Role.ADMIN)
        data = valid(shapes.GatewayConnectionDraftSerializer(data=request.data))
        made = services.create_connection(
            organization=membership.organization, actor=person(request), now=timezone.now(), **data
        )
        return Response(_json(membership, made.pk), status=201)


class OneConnectionView(_View):
    """One connection."""

    @extend_schema(
        operation_id="gateway_connections_get", responses=shapes.GatewayConnectionSerializer
    )
    def get(self, request: Request, organization: str, gateway_connection: UUID) -> Response:
        """A connection, its keys and how it stands."""
        membership, row = self.connection(request, organization, gateway_connection, Role.VIEWER)
        return Response(_json(membership, row.pk))

    @extend_schema(
        operation_id="gateway_connections_change",
        request=shapes.GatewayConnectionChangeSerializer,
        responses=shapes.GatewayConnectionSerializer,
    )
    def patch(self, request: Request, organization: str, gateway_connection: UUID) -> Response:
        """Change, switch on or off (admins). At another host stored keys are revoked and `secret` is the first one."""
        membership, row = self.connection(request, organization, gateway_connection)
        data = valid(shapes.GatewayConnectionChangeSerializer(data=request.data))
        is_enabled, actor, now = data.pop("is_enabled", None), person(request), timezone.now()
        if data:
            services.change_connection(connection=row, actor=actor, now=now, **data)
        if is_enabled is not None:
            services.switch_connection(connection=row, is_enabled=is_enabled, actor=actor, now=now)
        return Response(_json(membership, row.pk))

    @extend_schema(operation_id="gateway_connections_delete", responses={204: None})
    def delete(self, request: Request, organization: str, gateway_connection: UUID) -> Response:
        """Delete a connection and its keys (admins)."""
        _, row = self.connection(request, organization, gateway_connection)
        services.delete_connection(connection=row, actor=person(request))
        return Response(status=204)


class ConnectionTestView(_View):
    """Tests."""

    @extend_schema(
        operation_id="gateway_connections_test",
        request=shapes.GatewayTestSerializer,
        responses={202: shapes.GatewayConnectionSerializer},
    )
    def post(self, request: Request, organization: str, gateway_connection: UUID) -> Response:
        """Have a worker make one cheap call with each key (admins); ask for the connection until `checked_at` moved."""
        membership, row = self.connection(request, organization, gateway_connection)
        data = valid(shapes.GatewayTestSerializer(data=request.data))
        checking.start_test(connection=row, actor=person(request), now=timezone.now(), **data)
        return Response(_json(membership, row.pk), status=202)


class KeyListView(_View):
    """Keys."""

    @extend_schema(
        operation_id="gateway_connection_keys_add",
        request=shapes.KeyDraftSerializer,
        responses={201: shapes.GatewayConnectionSerializer},
    )
    def post(self, request: Request, organization: str, gateway_connection: UUID) -> Response:
        """One more key (admins); calls are shared by weight."""
        membership, row = self.connection(request, organization, gateway_connection)
        data = valid(shapes.KeyDraftSerializer(data=request.data))
        holding.add_key(connection=row, actor=person(request), now=timezone.now(), **data)
        return Response(_json(membership, row.pk), status=201)


class OneKeyView(_View):
    """One key."""

    @extend_schema(
        operation_id="gateway_connection_keys_change",
        request=shapes.KeyWeightSerializer,
        responses=shapes.GatewayConnectionSerializer,
    )
    def patch(
        self, request: Request, organization: str, gateway_connection: UUID, gateway_key: UUID
    ) -> Response:
        """Another weight (admins)."""
        membership, key = self.key(request, organization, gateway_connection, gateway_key)
        data = valid(shapes.KeyWeightSerializer(data=request.data))
        holding.weigh_key(key=key, actor=person(request), now=timezone.now(), **data)
        return Response(_json(membership, key.connection_id))

    @extend_schema(operation_id="gateway_connection_keys_revoke", responses={204: None})
    def delete(
        self, request: Request, organization: str, gateway_connection: UUID, gateway_key: UUID
    ) -> Response:
        """Revoke a key (admins): from the next second on no call is made with it."""
        _, key = self.key(request, organization, gateway_connection, gateway_key)
        holding.revoke_key(key=key, actor=person(request), now=timezone.now())
        return Response(status=204)


class KeyRotationView(_View):
    """Rotations."""

    @extend_schema(
        operation_id="gateway_connection_keys_rotate",
        request=shapes.KeyRotationSerializer,
        responses={201: shapes.GatewayConnectionSerializer},
    )
    def post(
        self, request: Request, organization: str, gateway_connection: UUID, gateway_key: UUID
    ) -> Response:
        """A new key in its place (admins); for `overlap` the old one stands in."""
        membership, key = self.key(request, organization, gateway_connection, gateway_key)
        data = valid(shapes.KeyRotationSerializer(data=request.data))
        holding.rotate_key(key=key, actor=person(request), now=timezone.now(), **data)
        return Response(_json(membership, key.connection_id), status=201)
