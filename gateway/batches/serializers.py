"""Shapes of batches in the API."""

from typing import Any

from rest_framework import serializers

from costs.serializers import AmountField
from gateway.models import Batch, BatchState, Wire


class GatewayBatchSerializer(serializers.Serializer[Batch]):
    """A batch at a provider."""

    id = serializers.UUIDField()
    provider_id = serializers.CharField(help_text="What the provider's API calls it")
    api = serializers.ChoiceField(choices=Wire.values, source="wire")
    provider = serializers.CharField()
    state = serializers.ChoiceField(choices=BatchState.values)
    status = serializers.CharField(help_text="The provider's own word")
    endpoint = serializers.CharField(source="dialect")
    models = serializers.ListField(child=serializers.CharField(), source="model_names")
    requests = serializers.IntegerField(source="total")
    succeeded = serializers.IntegerField(allow_null=True)
    failed = serializers.IntegerField(allow_null=True)
    input_tokens = serializers.IntegerField(allow_null=True)
    output_tokens = serializers.IntegerField(allow_null=True)
    most_usd = AmountField(allow_null=True, help_text="What it may cost at most; null: unknown")
    cost_usd = AmountField(allow_null=True, help_text="null: not recorded yet, or unknown")
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    recorded_at = serializers.DateTimeField(allow_null=True)
    key = serializers.UUIDField(source="api_key_id", allow_null=True)
    connection = serializers.UUIDField(source="connection_id")
    error = serializers.CharField()


class GatewayBatchPageSerializer(serializers.Serializer[Any]):
    """A page of batches."""

    results = GatewayBatchSerializer(many=True)
    next = serializers.URLField(allow_null=True)
