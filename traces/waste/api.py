"""Waste for programs: the page's list."""

from typing import Any

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.errors import DomainError
from costs.forms import refuse_unknown
from costs.serializers import AmountField
from projects.access import HasScope, project_from_api
from traces.models import WasteKind
from traces.waste import selectors
from traces.waste.state import cursor_of, read_state

_PARAMS = ("range", "start", "end", "kind", "q", "sort", "after", "limit")
MAX_LIMIT = 500


class WasteKindSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=WasteKind.choices)
    calls = serializers.IntegerField()
    wasted_usd = AmountField()


class WasteReasonSerializer(WasteKindSerializer):
    """One reason over the range."""

    fingerprint = serializers.CharField(
        help_text="The same on every day; empty: small ones of the kind together"
    )
    detail = serializers.CharField()
    provider = serializers.CharField()
    model = serializers.CharField()
    agent = serializers.CharField()
    feature = serializers.CharField()
    cost_usd = AmountField(help_text="What these calls cost in all")
    days = serializers.IntegerField()
    last_day = serializers.DateField()


class WasteSerializer(serializers.Serializer[Any]):
    """What was found, and how far was looked."""

    first_day = serializers.DateField(source="filters.first")
    last_day = serializers.DateField(source="filters.last")
    days_looked_through = serializers.IntegerField(source="looked.days")
    days_pending = serializers.IntegerField(source="looked.pending")
    calls = serializers.IntegerField(source="looked.calls")
    unread_calls = serializers.IntegerField(source="looked.unread_calls")
    kinds = WasteKindSerializer(many=True)
    results = WasteReasonSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="`after` of the next page")


class WasteView(APIView):
    """A project's waste."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="waste",
        parameters=[
            OpenApiParameter(
                "range",
                OpenApiTypes.STR,
                description="7d, 30d, 90d, mtd or two instants; whole UTC days",
            ),
            OpenApiParameter("kind", OpenApiTypes.STR, enum=WasteKind.values),
            OpenApiParameter("q", OpenApiTypes.STR),
            OpenApiParameter("sort", OpenApiTypes.STR, enum=list(selectors.SORTS)),
            OpenApiParameter("after", OpenApiTypes.STR),
            OpenApiParameter(
                "limit", OpenApiTypes.INT, description=f"1 to {MAX_LIMIT}, default 100"
            ),
        ],
        responses=WasteSerializer,
    )
    def get(self, request: Request, project: str) -> Response:
        """Money that bought nothing, by reason, the most wasted first."""
        found = project_from_api(request, project, "read")
        query, now = request.query_params, timezone.now()
        refuse_unknown(query, set(_PARAMS))
        state, limit = read_state(query, now=now), _limit(query.get("limit", "100"))
        rows = selectors.reasons(
            found.pk, state.filters, sort=state.sort, limit=limit + 1, after=state.after
        )
        answer = {
            "filters": state.filters,
            "looked": selectors.looked(found.pk, state.filters, now=now),
            "kinds": selectors.kind_sums(found.pk, state.filters),
            "results": rows[:limit],
            "next": cursor_of(rows[limit - 1], state.sort) if len(rows) > limit else None,
        }
        return Response(WasteSerializer(answer).data)


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= MAX_LIMIT):
        raise DomainError(f"limit is {text[:40]!r}; it must be 1 to {MAX_LIMIT}.", fields=["limit"])
    return int(text)
