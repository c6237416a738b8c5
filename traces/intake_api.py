"""Ingestion health for programs: the same figures as the page."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api.serializers import StrictSerializer
from core.errors import DomainError
from core.ranges import TimeRange, parse_range
from projects.access import HasScope, project_from_api
from traces.ingest import tally
from traces.intake_words import ADVICE
from traces.selectors.intake import OUTCOMES, Health, ingestion_health
from traces.serializers import ErrorSerializer

_PARAMS = ("range", "door")
_ERRORS = {400: ErrorSerializer, 401: ErrorSerializer, 403: ErrorSerializer, 404: ErrorSerializer}


class IngestCountsSerializer(StrictSerializer):
    sent = serializers.IntegerField(help_text="stored + updated + duplicate + rejected")
    stored = serializers.IntegerField()
    updated = serializers.IntegerField()
    duplicate = serializers.IntegerField()
    rejected = serializers.IntegerField()


class IngestBinSerializer(IngestCountsSerializer):
    start = serializers.DateTimeField()


class IngestSourceSerializer(IngestCountsSerializer):
    door = serializers.CharField()
    dialect = serializers.CharField()
    last_received_at = serializers.DateTimeField()


class IngestRefusalSerializer(StrictSerializer):
    reason = serializers.CharField()
    detail = serializers.CharField()
    advice = serializers.CharField()
    items = serializers.IntegerField(help_text="Refused items, where their number is known")
    requests = serializers.IntegerField()
    last_received_at = serializers.DateTimeField()


class IngestionSerializer(StrictSerializer):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    step_seconds = serializers.IntegerField()
    last_received_at = serializers.DateTimeField(allow_null=True)
    totals = IngestCountsSerializer()
    series = IngestBinSerializer(many=True)
    sources = IngestSourceSerializer(many=True)
    refusals = IngestRefusalSerializer(many=True)


class IngestionView(APIView):
    """What the doors were sent and what became of it."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="ingestion_retrieve",
        parameters=[
            OpenApiParameter("range", OpenApiTypes.STR, description="As for traces; default 24h."),
            OpenApiParameter("door", OpenApiTypes.STR, enum=tally.DOORS),
        ],
        responses={200: IngestionSerializer, **_ERRORS},
    )
    def get(self, request: Request, project: str) -> Response:
        """What the doors were sent and what became of it: sent = stored + updated + duplicate + rejected."""
        found = project_from_api(request, project, "read")
        params = request.query_params
        door = _door(params)
        now = timezone.now()
        period = parse_range(params.get("range", ""), now=now, default="24h")
        health = ingestion_health(found, period, now=now, door=door)
        return Response(_document(health, period))


def _counts(counts: dict[str, int]) -> dict[str, Any]:
    return {"sent": sum(counts.values()), **counts}


def _door(params: Mapping[str, str]) -> str:
    """The door asked for, "" for all. Raises DomainError."""
    if unknown := [name[:40] for name in params if name not in _PARAMS]:
        raise DomainError(
            f"{unknown[0]} is not a parameter here; known are {', '.join(_PARAMS)}.",
            code="invalid_parameter",
            fields=unknown[:5],
        )
    door = params.get("door", "")
    if door and door not in tally.DOORS:
        raise DomainError(
            f"door is {door[:40]!r}; it must be one of {', '.join(tally.DOORS)}.",
            code="invalid_parameter",
            fields=["door"],
        )
    return door


def _document(health: Health, period: TimeRange) -> dict[str, Any]:
    series = {outcome: health.series(outcome) for outcome in OUTCOMES}
    return {
        "start": period.start,
        "end": period.end,
        "step_seconds": int(health.step.total_seconds()),
        "last_received_at": health.last_at,
        "totals": _counts(health.counts),
        "series": [
            {"start": at, **_counts({o: series[o][i] for o in OUTCOMES})}
            for i, at in enumerate(health.starts)
        ],
        "sources": [
            {
                "door": one.door,
                "dialect": one.dialect,
                "last_received_at": one.last_at,
                **_counts({o: one.counts[o] for o in OUTCOMES}),
            }
            for one in health.sources()
        ],
        "refusals": [
            {
                "reason": one.reason,
                "detail": tally.REASONS.get(one.reason, one.reason),
                "advice": ADVICE.get(one.reason, ADVICE["other"]),
                "items": one.items,
                "requests": one.requests,
                "last_received_at": one.last_at,
            }
            for one in health.refusals()
        ],
    }
