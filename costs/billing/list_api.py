"""Lists of the billed ledger for programs: runs, lines, corrections, in pages by cursor."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.pagination import CursorPages
from core.errors import DomainError
from costs.billing import lines
from costs.billing import serializers as shapes
from costs.billing.api import BillingView, member_of
from costs.forms import refuse_unknown
from costs.models import ChargeCategory, ProviderSync
from projects.access import parse_uuid

_PAGES = {"limit", "cursor"}


def _named(name: str, about: str, *, enum: list[str] | None = None) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.STR, description=about, enum=enum)


_CONNECTION = OpenApiParameter("connection", OpenApiTypes.UUID, description="Of one connection")
_DAYS = [
    OpenApiParameter("from", OpenApiTypes.DATE, description="First billing day"),
    OpenApiParameter("to", OpenApiTypes.DATE, description="Last billing day, included"),
]


class _ListView(BillingView):
    pagination_class = CursorPages

    def _answer(self, request: Request, rows: Any, shape: Any) -> Response:
        pages = self.pagination_class()
        page = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response(shape(page, many=True).data)


class SyncListView(_ListView):
    """Runs."""

    @extend_schema(
        operation_id="billing_syncs_list",
        parameters=[_CONNECTION, _named("state", "In one state", enum=ProviderSync.State.values)],
        responses=shapes.SyncSerializer(many=True),
    )
    def get(self, request: Request, organization: str) -> Response:
        """Runs of reading the bills, newest first."""
        membership = member_of(request, organization)
        query = request.query_params
        refuse_unknown(query, {"connection", "state", *_PAGES})
        rows = ProviderSync.objects.filter(
            organization_id=membership.organization_id
        ).select_related("account")
        if text := query.get("connection"):
            if (pk := parse_uuid(text)) is None:
                raise DomainError("connection must be a connection's id.", fields=["connection"])
            rows = rows.filter(account__connection_id=pk)
        if state := lines.choice_of(query, "state", ("", *ProviderSync.State.values)):
            rows = rows.filter(state=state)
        return self._answer(request, rows, shapes.SyncSerializer)


class BilledCostListView(_ListView):
    """Lines."""

    @extend_schema(
        operation_id="billed_costs_list",
        parameters=[
            _CONNECTION,
            *_DAYS,
            _named("q", "Words of the model, description, project or key"),
            _named("category", "Of one category", enum=ChargeCategory.values),
            *(
                _named(name, "Exactly this; `-` for lines without one")
                for name in ("provider", "sub_account", "key", "model")
            ),
        ],
        responses=shapes.BilledCostSerializer(many=True),
    )
    def get(self, request: Request, organization: str) -> Response:
        """Billed lines, the one read last first. Every sum of what was billed is a sum of these."""
        membership = member_of(request, organization)
        refuse_unknown(request.query_params, {*lines.LINE_FILTERS, *_PAGES})
        rows = lines.lines_of(membership.organization_id, request.query_params)
        return self._answer(request, rows, shapes.BilledCostSerializer)


class RevisionListView(_ListView):
    """Corrections."""

    @extend_schema(
        operation_id="billed_revisions_list",
        parameters=[
            _CONNECTION,
            *_DAYS,
            _named("q", "Words of the line"),
            _named("change", "What happened", enum=["added", "changed", "removed"]),
            _named("kind", "Money or usage", enum=["cost", "usage"]),
        ],
        responses=shapes.RevisionSerializer(many=True),
    )
    def get(self, request: Request, organization: str) -> Response:
        """What providers changed after it had been read, newest first."""
        membership = member_of(request, organization)
        refuse_unknown(request.query_params, {*lines.REVISION_FILTERS, *_PAGES})
        rows = lines.revisions_of(membership.organization_id, request.query_params)
        return self._answer(request, rows, shapes.RevisionSerializer)
