"""Shapes of calls in the API."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from costs.serializers import AmountField
from gateway.models import LLMRequest, RequestState
from gateway.structs import PRIORITIES


class GatewayRequestSerializer(serializers.Serializer[LLMRequest]):
    """A call that ended."""

    id = serializers.UUIDField()
    accepted_at = serializers.DateTimeField()
    state = serializers.ChoiceField(choices=RequestState.values)
    status = serializers.IntegerField(source="status_code")
    error = serializers.CharField(help_text="The error's code; empty when it went well")
    dialect = serializers.CharField()
    asked_model = serializers.CharField()
    model = serializers.CharField(help_text="Who answered, or would have")
    provider = serializers.CharField()
    connection = serializers.UUIDField(source="connection_id", allow_null=True)
    route = serializers.CharField(help_text="Empty: no route names the model")
    because = serializers.CharField()
    is_stream = serializers.BooleanField()
    priority = serializers.SerializerMethodField()
    cache = serializers.CharField(help_text="exact, semantic, miss, bypass or empty")
    attempts = serializers.IntegerField()
    fallbacks = serializers.IntegerField()
    flags = serializers.ListField(child=serializers.CharField())
    queue_ms = serializers.FloatField(allow_null=True)
    provider_ms = serializers.FloatField(allow_null=True)
    first_token_ms = serializers.FloatField(allow_null=True)
    total_ms = serializers.FloatField(allow_null=True)
    input_tokens = serializers.IntegerField(allow_null=True)
    output_tokens = serializers.IntegerField(allow_null=True)
    cost_usd = AmountField(allow_null=True, help_text="null: unknown")
    saved_usd = AmountField(allow_null=True)
    key = serializers.UUIDField(source="api_key_id", allow_null=True)
    user = serializers.CharField(source="user_id")
    trace_id = serializers.CharField()
    span_id = serializers.CharField(help_text="Empty: a refused call is no step")

    @extend_schema_field({"type": "string", "enum": list(PRIORITIES)})
    def get_priority(self, row: LLMRequest) -> str:
        return PRIORITIES[min(row.priority, len(PRIORITIES) - 1)]


class GatewayRequestPageSerializer(serializers.Serializer[Any]):
    """A page of calls."""

    results = GatewayRequestSerializer(many=True)
    next = serializers.URLField(allow_null=True)
