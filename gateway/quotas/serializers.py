"""Shapes of limits in the API."""

from typing import Any

from rest_framework import serializers

from core.api.serializers import StrictSerializer
from gateway.models import LimitMetric, LimitScope, LimitWindow
from gateway.quotas.selectors import Row, Usage

LIMIT_STATES = ["paused", "full", "warning", "ok"]
_AMOUNT: dict[str, Any] = {"max_digits": 20, "decimal_places": 6, "normalize_output": True}
_COUNTED: dict[str, Any] = {"max_digits": 28, "decimal_places": 12, "normalize_output": True}


class LimitUsageSerializer(serializers.Serializer[Usage]):
    """One subject in the running window."""

    subject = serializers.CharField(help_text="As calls name it; keys and projects by their id")
    name = serializers.CharField(source="label")
    used = serializers.DecimalField(**_COUNTED)
    reserved = serializers.DecimalField(**_COUNTED, help_text="Set aside for calls under way")
    remaining = serializers.DecimalField(**_COUNTED, source="left")


class GatewayLimitSerializer(serializers.Serializer[Row]):
    """A limit and how far its busiest subjects are."""

    id = serializers.UUIDField(source="limit.pk")
    name = serializers.CharField(source="limit.name")
    scope = serializers.ChoiceField(choices=LimitScope.choices, source="limit.scope")
    value = serializers.CharField(source="limit.value", help_text="Empty: each on its own")
    project = serializers.UUIDField(
        source="limit.project_id", allow_null=True, help_text="null: all projects"
    )
    metric = serializers.ChoiceField(choices=LimitMetric.choices, source="limit.metric")
    window = serializers.ChoiceField(choices=LimitWindow.choices, source="limit.window")
    amount = serializers.DecimalField(**_AMOUNT, source="limit.amount")
    is_hard = serializers.BooleanField(source="limit.is_hard")
    is_paused = serializers.BooleanField(source="limit.is_paused")
    state = serializers.ChoiceField(
        choices=LIMIT_STATES, help_text="Of its busiest subject; warning: from 80 %"
    )
    resets_at = serializers.DateTimeField(allow_null=True)
    subjects = serializers.IntegerField(help_text="How many used anything in the running window")
    busiest = LimitUsageSerializer(many=True)
    created_at = serializers.DateTimeField(source="limit.created_at")


class GatewayLimitPageSerializer(serializers.Serializer[Any]):
    """A page of limits."""

    results = GatewayLimitSerializer(many=True)
    next = serializers.URLField(allow_null=True)


class GatewayLimitDraftSerializer(StrictSerializer):
    """A new limit."""

    name = serializers.CharField(max_length=120)
    scope = serializers.ChoiceField(choices=LimitScope.choices)
    value = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    project = serializers.UUIDField(required=False, allow_null=True, default=None)
    metric = serializers.ChoiceField(choices=LimitMetric.choices)
    window = serializers.ChoiceField(
        choices=LimitWindow.choices,
        required=False,
        allow_blank=True,
        default="",
        help_text="Empty for calls at once",
    )
    amount = serializers.DecimalField(max_digits=20, decimal_places=6)
    is_hard = serializers.BooleanField(required=False, default=True)

    def to_internal_value(self, data: Any) -> Any:
        found = super().to_internal_value(data)
        found["project_id"] = found.pop("project")
        return found


class GatewayLimitChangeSerializer(StrictSerializer):
    """What changes; left out stays. What it counts cannot change."""

    name = serializers.CharField(max_length=120, required=False)
    amount = serializers.DecimalField(max_digits=20, decimal_places=6, required=False)
    is_hard = serializers.BooleanField(required=False)
    is_paused = serializers.BooleanField(required=False)
