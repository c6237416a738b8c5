"""The shapes of the read API, for OpenAPI and for output. Money is a decimal string."""

from typing import Any

from rest_framework import serializers

from traces.models import SpanKind, SpanStatus


class TraceSerializer(serializers.Serializer[Any]):
    """One trace with its sums."""

    trace_id = serializers.CharField()
    name = serializers.CharField()
    status = serializers.ChoiceField(SpanStatus.choices)
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    duration_ms = serializers.FloatField(allow_null=True)
    cost_usd = serializers.CharField(
        allow_null=True,
        help_text="Decimal string; unpriced calls are not in it; null when nothing else is known.",
    )
    calls = serializers.IntegerField()
    unpriced_calls = serializers.IntegerField()
    step_count = serializers.IntegerField()
    error_count = serializers.IntegerField()
    running_count = serializers.IntegerField()
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    providers = serializers.ListField(child=serializers.CharField())
    models = serializers.ListField(child=serializers.CharField())
    agent = serializers.CharField()
    environment = serializers.CharField()
    release = serializers.CharField()
    user = serializers.CharField()
    session = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    metadata = serializers.DictField()
    seq = serializers.IntegerField(help_text="Grows by one with every change of the trace.")


class StepSerializer(serializers.Serializer[Any]):
    """One step. `payload` is there only with include=payloads."""

    trace_id = serializers.CharField()
    id = serializers.CharField()
    parent_id = serializers.CharField(allow_null=True)
    name = serializers.CharField()
    type = serializers.ChoiceField(SpanKind.choices)
    status = serializers.ChoiceField(SpanStatus.choices)
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    duration_ms = serializers.FloatField(allow_null=True)
    first_token_ms = serializers.FloatField(allow_null=True)
    provider = serializers.CharField()
    request_model = serializers.CharField()
    response_model = serializers.CharField()
    operation = serializers.CharField()
    input_tokens = serializers.IntegerField(allow_null=True)
    output_tokens = serializers.IntegerField(allow_null=True)
    cache_read_input_tokens = serializers.IntegerField()
    cache_write_input_tokens = serializers.IntegerField()
    reasoning_output_tokens = serializers.IntegerField()
    cost_usd = serializers.CharField(
        allow_null=True, help_text="Decimal string; null without a price."
    )
    price_status = serializers.CharField(allow_null=True)
    is_cache_hit = serializers.BooleanField()
    error_type = serializers.CharField()
    error_message = serializers.CharField()
    finish_reason = serializers.CharField()
    flags = serializers.ListField(child=serializers.CharField())
    payload = serializers.DictField(allow_null=True, required=False)
    payload_error = serializers.CharField(allow_null=True, required=False)


class TraceDetailSerializer(TraceSerializer):
    """One trace with its steps, oldest first."""

    steps = StepSerializer(many=True)
    steps_truncated = serializers.BooleanField(
        help_text="True when there are more steps than one answer holds; read the rest from …/spans."
    )


class TracePageSerializer(serializers.Serializer[Any]):
    """A page of traces."""

    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = TraceSerializer(many=True)


class SpanPageSerializer(serializers.Serializer[Any]):
    """A page of steps."""

    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = StepSerializer(many=True)


class ErrorSerializer(serializers.Serializer[Any]):
    """Every error."""

    detail = serializers.CharField()
    code = serializers.CharField()
    fields = serializers.ListField(child=serializers.CharField())  # type: ignore[assignment]
