"""Estimates for programs: what a planned workload costs, on its own models and on others. Nothing is stored."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api.serializers import StrictSerializer
from costs.estimates import workload as limits
from costs.estimates.plans import compared_plans
from costs.estimates.workload import CostLine, Part, Workload
from costs.selectors.price_rules import rules_of
from costs.serializers import AmountField
from projects.access import HasScope, people_only, project_from_api

_membership = people_only("estimate at /api/v1/projects/<project>/estimates.")
_PERCENT: dict[str, Any] = {
    "required": False, "default": Decimal(0), "max_digits": 9, "decimal_places": 4, "max_value": limits.HUNDRED,
}  # fmt: skip


def _at_most(value: list[Any], most: int) -> list[Any]:
    if len(value) > most:
        raise serializers.ValidationError(f"There are {len(value)}; at most {most} are allowed.")
    return value


class EstimatePartSerializer(StrictSerializer):
    """One kind of call a task makes."""

    model = serializers.CharField(max_length=200, help_text="provider/model")
    calls_per_task = serializers.DecimalField(
        required=False,
        default=Decimal(1),
        max_digits=12,
        decimal_places=6,
        min_value=0,
        max_value=100_000,
    )
    input_tokens = serializers.IntegerField(min_value=0, max_value=limits.MAX_TOKENS)
    output_tokens = serializers.IntegerField(min_value=0, max_value=limits.MAX_TOKENS)
    cache_read_percent = serializers.DecimalField(min_value=0, **_PERCENT)
    cache_write_percent = serializers.DecimalField(min_value=0, **_PERCENT)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["cache_read_percent"] + attrs["cache_write_percent"] > limits.HUNDRED:
            raise serializers.ValidationError(
                {
                    "cache_read_percent": "Cache reads and writes are parts of the input: together at most 100."
                }
            )
        return attrs


class EstimateLineSerializer(StrictSerializer):
    """What is paid besides the models."""

    name = serializers.CharField(max_length=80)
    amount_usd = serializers.DecimalField(
        max_digits=16, decimal_places=6, min_value=0, max_value=10**9
    )
    per = serializers.ChoiceField(choices=["month", "thousand"], default="month")


class EstimateRequestSerializer(StrictSerializer):
    """A planned workload."""

    tasks = serializers.IntegerField(
        min_value=1, max_value=limits.MAX_TASKS, help_text="In the first month"
    )
    parts = EstimatePartSerializer(many=True, allow_empty=False)
    months = serializers.IntegerField(default=12, min_value=1, max_value=limits.MAX_MONTHS)
    growth_percent = serializers.DecimalField(min_value=-100, **_PERCENT)
    batch_percent = serializers.DecimalField(min_value=0, **_PERCENT)
    lines = EstimateLineSerializer(many=True, required=False)
    compare = serializers.ListField(
        child=serializers.CharField(max_length=200), required=False, max_length=limits.MAX_COMPARED
    )

    def validate_parts(self, value: list[Any]) -> list[Any]:
        return _at_most(value, limits.MAX_PARTS)

    def validate_lines(self, value: list[Any]) -> list[Any]:
        return _at_most(value, limits.MAX_LINES)


class EstimateMonthSerializer(serializers.Serializer[Any]):
    """One month; `models_usd` and `total_usd` are null where a price is missing."""

    month = serializers.IntegerField(source="number")
    tasks = serializers.IntegerField()
    models_usd = AmountField()
    lines_usd = serializers.ListField(child=AmountField())
    total_usd = AmountField()


class EstimatePlanSerializer(serializers.Serializer[Any]):
    """The plan, or the same work on one model."""

    name = serializers.CharField()
    per_task_usd = AmountField()
    total_usd = AmountField()
    is_lower_bound = serializers.BooleanField()
    notes = serializers.ListField(child=serializers.CharField())
    months = EstimateMonthSerializer(many=True)


class EstimateSerializer(serializers.Serializer[Any]):
    """The plan first, then the others, cheapest first."""

    plans = EstimatePlanSerializer(many=True)


def _workload(data: dict[str, Any]) -> Workload:
    parts = tuple(
        Part(
            one["model"].strip().lower(),
            one["calls_per_task"],
            one["input_tokens"],
            one["output_tokens"],
            one["cache_read_percent"],
            one["cache_write_percent"],
        )
        for one in data["parts"]
    )
    lines = tuple(
        CostLine(one["name"], one["amount_usd"], one["per"]) for one in data.get("lines", ())
    )
    return Workload(
        data["tasks"],
        parts,
        data["months"],
        data["growth_percent"],
        data["batch_percent"],
        lines,
    )


def _answer(request: Request, organization_id: UUID) -> Response:
    body = EstimateRequestSerializer(data=request.data)
    body.is_valid(raise_exception=True)
    data: dict[str, Any] = body.validated_data
    plans = compared_plans(
        _workload(data),
        [name.strip().lower() for name in data.get("compare", ())],
        rules=rules_of(organization_id),
        now=timezone.now(),
    )
    return Response(EstimateSerializer({"plans": plans}).data)


class EstimateView(APIView):
    """An organisation's estimates."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="estimate", request=EstimateRequestSerializer, responses=EstimateSerializer
    )
    def post(self, request: Request, organization: str) -> Response:
        """What a planned workload costs with the organisation's own prices and discounts."""
        return _answer(request, _membership(request, organization).organization_id)


class ProjectEstimateView(APIView):
    """The same for a project's key."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="estimate_for_project",
        request=EstimateRequestSerializer,
        responses=EstimateSerializer,
    )
    def post(self, request: Request, project: str) -> Response:
        """What a planned workload costs with the prices of the project's organisation."""
        return _answer(request, project_from_api(request, project, "read").organization_id)
