"""Billing connections for people and their programs: make, change, check, read, map. Keys of projects are refused."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Role
from accounts.selectors import person
from core.errors import DomainError
from costs.billing import connections as services
from costs.billing import mappings, removal, runs
from costs.billing import serializers as shapes
from costs.billing.access import plugin_named
from costs.billing.selectors import (
    account_named,
    account_of,
    connection_named,
    listed,
    run_named,
    standings,
)
from costs.forms import refuse_unknown
from costs.providers.base import BillingPlugin
from costs.providers.registry import plugins
from projects.access import HasScope, people_only
from projects.api import valid
from projects.job_api import JobSerializer
from projects.models import ProviderConnection

member_of = people_only("the bill is the organisation's and needs a person.")


def _values(plugin: BillingPlugin, data: Mapping[str, Any]) -> dict[str, str]:
    """Settings and credentials as the services take them; a name in the wrong one, or in none, is refused."""
    found: dict[str, str] = {}
    for part, is_secret in (("settings", False), ("credentials", True)):
        known = [field.name for field in plugin.fields if field.is_secret is is_secret]
        for name, value in data.get(part, {}).items():
            if name not in known:
                raise DomainError(
                    f"{part}.{name[:40]} is unknown; known are {', '.join(known) or 'none'}.",
                    fields=[f"{part}.{name[:40]}"],
                )
            found[name] = value
    return found


def _shown(connection: ProviderConnection) -> dict[str, Any]:
    fresh = connection_named(connection.organization_id, connection.pk)
    return dict(shapes.ConnectionSerializer(standings([fresh], now=timezone.now())[0]).data)


class BillingView(APIView):
    """What they all need."""

    permission_classes = [HasScope("read")]


class ProviderListView(BillingView):
    """Providers."""

    @extend_schema(operation_id="billing_providers", responses=shapes.ProviderSerializer(many=True))
    def get(self, request: Request, organization: str) -> Response:
        """The providers whose bill can be read, and what each connection needs."""
        member_of(request, organization)
        return Response(shapes.ProviderSerializer(plugins(), many=True).data)


class ConnectionListView(BillingView):
    """Connections."""

    @extend_schema(
        operation_id="billing_connections_list", responses=shapes.ConnectionListSerializer
    )
    def get(self, request: Request, organization: str) -> Response:
        """Every connection with its state, last run, coverage and this month's bill, by name."""
        membership = member_of(request, organization)
        refuse_unknown(request.query_params, set())
        rows = standings(listed(membership.organization_id), now=timezone.now())
        return Response({"results": shapes.ConnectionSerializer(rows, many=True).data})

    @extend_schema(
        operation_id="billing_connections_create",
        request=shapes.ConnectionCreateSerializer,
        responses={201: shapes.ConnectionSerializer},
    )
    def post(self, request: Request, organization: str) -> Response:
        """Check the credentials at the provider and keep them sealed (admins). 422 with the provider's words when it
        refuses."""
        membership = member_of(request, organization, Role.ADMIN)
        data = valid(shapes.ConnectionCreateSerializer(data=request.data))
        now, plugin = timezone.now(), plugin_named(data["provider"])
        if ("schedule" in data) != ("history_from" in data):
            raise DomainError(
                "schedule and history_from come together.", fields=["schedule", "history_from"]
            )
        if "history_from" in data:
            services.clean_history(data["history_from"], now=now)
        made = services.create_connection(
            organization=membership.organization,
            provider=data["provider"],
            name=data["name"],
            values=_values(plugin, data),
            actor=person(request),
            now=now,
        )
        if "schedule" in data:
            services.start_billing(
                connection=made,
                schedule=data["schedule"],
                history_from=data["history_from"],
                actor=person(request),
                now=now,
            )
        return Response(_shown(made), status=201)


class ConnectionView(BillingView):
    """One connection."""

    @extend_schema(operation_id="billing_connections_get", responses=shapes.ConnectionSerializer)
    def get(self, request: Request, organization: str, connection: UUID) -> Response:
        """How a connection stands."""
        membership = member_of(request, organization)
        return Response(_shown(connection_named(membership.organization_id, connection)))

    @extend_schema(
        operation_id="billing_connections_change",
        request=shapes.ConnectionChangeSerializer,
        responses=shapes.ConnectionSerializer,
    )
    def patch(self, request: Request, organization: str, connection: UUID) -> Response:
        """Change its name, schedule, first day or access, pause or resume it (admins)."""
        membership = member_of(request, organization, Role.ADMIN)
        row = connection_named(membership.organization_id, connection)
        data = valid(shapes.ConnectionChangeSerializer(data=request.data))
        acting: dict[str, Any] = {"actor": person(request), "now": timezone.now()}
        if "settings" in data or "credentials" in data:
            values = _values(plugin_named(row.provider), data)
            services.change_access(connection=row, values=values, **acting)
        plain = {name: data[name] for name in ("name", "schedule", "history_from") if name in data}
        if plain and account_of(row) is None and {"schedule", "history_from"} <= set(plain):
            services.start_billing(
                connection=row,
                schedule=plain.pop("schedule"),
                history_from=plain.pop("history_from"),
                **acting,
            )
        if plain:
            services.change_connection(connection=row, **plain, **acting)
        if "is_paused" in data:
            change = services.pause_connection if data["is_paused"] else services.resume_connection
            change(connection=row, **acting)
        return Response(_shown(row))

    @extend_schema(operation_id="billing_connections_delete", responses={202: JobSerializer})
    def delete(self, request: Request, organization: str, connection: UUID) -> Response:
        """Forget the credentials at once; the job deletes what was read (admins)."""
        membership = member_of(request, organization, Role.ADMIN)
        row = connection_named(membership.organization_id, connection)
        job = removal.delete_connection(connection=row, actor=person(request), now=timezone.now())
        return Response(JobSerializer(job).data, status=202)


class ConnectionCheckView(BillingView):
    """Checks."""

    @extend_schema(
        operation_id="billing_connections_check",
        request=None,
        responses=shapes.CheckedSerializer,
    )
    def post(self, request: Request, organization: str, connection: UUID) -> Response:
        """Ask the provider now with the stored credentials (admins). 422 with its words when it refuses."""
        membership = member_of(request, organization, Role.ADMIN)
        row = connection_named(membership.organization_id, connection)
        found = services.check_again(connection=row, actor=person(request), now=timezone.now())
        return Response(shapes.CheckedSerializer(found).data)


class ConnectionSyncView(BillingView):
    """Starting runs."""

    @extend_schema(
        operation_id="billing_syncs_create",
        request=shapes.SyncCreateSerializer,
        responses={202: shapes.SyncSerializer},
    )
    def post(self, request: Request, organization: str, connection: UUID) -> Response:
        """Read the bill now, or these days of it again (admins). 409 while a run is open."""
        membership = member_of(request, organization, Role.ADMIN)
        account = account_named(membership.organization_id, connection)
        data = valid(shapes.SyncCreateSerializer(data=request.data))
        run = runs.start(
            account=account,
            kind="history" if data else "now",
            actor=person(request),
            now=timezone.now(),
            **data,
        )
        return Response(shapes.SyncSerializer(run).data, status=202)


class SyncView(BillingView):
    """One run."""

    @extend_schema(operation_id="billing_syncs_get", responses=shapes.SyncSerializer)
    def get(self, request: Request, organization: str, sync: UUID) -> Response:
        """How far a run is, and how it ended."""
        membership = member_of(request, organization)
        return Response(shapes.SyncSerializer(run_named(membership.organization_id, sync)).data)


class SyncCancellationView(BillingView):
    """Ending runs early."""

    @extend_schema(
        operation_id="billing_syncs_cancel", request=None, responses=shapes.SyncSerializer
    )
    def post(self, request: Request, organization: str, sync: UUID) -> Response:
        """End it before its next step (admins); what it read stays."""
        membership = member_of(request, organization, Role.ADMIN)
        run = run_named(membership.organization_id, sync)
        runs.cancel(run=run, actor=person(request), now=timezone.now())
        return Response(shapes.SyncSerializer(run_named(membership.organization_id, sync)).data)


class SyncResumptionView(BillingView):
    """Going on."""

    @extend_schema(
        operation_id="billing_syncs_resume", request=None, responses={202: shapes.SyncSerializer}
    )
    def post(self, request: Request, organization: str, sync: UUID) -> Response:
        """Go on where a cancelled or given-up run stood (admins)."""
        membership = member_of(request, organization, Role.ADMIN)
        run = runs.resume(
            run=run_named(membership.organization_id, sync),
            actor=person(request),
            now=timezone.now(),
        )
        return Response(
            shapes.SyncSerializer(run_named(membership.organization_id, run.pk)).data, status=202
        )


class MappingListView(BillingView):
    """Assignments."""

    @extend_schema(operation_id="billing_mappings_list", responses=shapes.MappingListSerializer)
    def get(self, request: Request, organization: str, connection: UUID) -> Response:
        """Every sub-account and key the bill named in ninety days, and where each belongs."""
        membership = member_of(request, organization)
        account = account_named(membership.organization_id, connection)
        rows = mappings.rows_of(account, now=timezone.now())
        return Response({"results": shapes.MappingRowSerializer(rows, many=True).data})

    @extend_schema(
        operation_id="billing_mappings_change",
        request=shapes.MappingChangeSerializer,
        responses=shapes.MappingListSerializer,
    )
    def patch(self, request: Request, organization: str, connection: UUID) -> Response:
        """Set some of them (admins)."""
        membership = member_of(request, organization, Role.ADMIN)
        account = account_named(membership.organization_id, connection)
        data = valid(shapes.MappingChangeSerializer(data=request.data))
        mappings.set_mappings(
            account=account,
            entries=[(one["sub_account"], one["key"], one["target"]) for one in data["mappings"]],
            actor=person(request),
            now=timezone.now(),
        )
        rows = mappings.rows_of(account, now=timezone.now())
        return Response({"results": shapes.MappingRowSerializer(rows, many=True).data})
