"""The shapes of the API of sessions, users and errors, for OpenAPI."""

from typing import Any

from rest_framework import serializers

from traces.models import ErrorStatus, SpanStatus


class _SumsSerializer(serializers.Serializer[Any]):
    error_count = serializers.IntegerField(help_text="Traces that failed.")
    running_count = serializers.IntegerField()
    calls = serializers.IntegerField()
    unpriced_calls = serializers.IntegerField()
    cost_usd = serializers.CharField(allow_null=True, help_text="Decimal string; null: unknown.")
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    environments = serializers.ListField(child=serializers.CharField(), help_text="At most 20.")
    first_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField()


class SessionSerializer(_SumsSerializer):
    """One session added up."""

    session = serializers.CharField()
    users = serializers.ListField(child=serializers.CharField(), help_text="At most 20.")
    turns_count = serializers.IntegerField()
    duration_ms = serializers.FloatField()


class SessionTurnSerializer(serializers.Serializer[Any]):
    """One trace of a session."""

    number = serializers.IntegerField()
    trace_id = serializers.CharField()
    name = serializers.CharField()
    status = serializers.ChoiceField(SpanStatus.choices)
    started_at = serializers.DateTimeField()
    duration_ms = serializers.FloatField(allow_null=True)
    input = serializers.CharField(help_text="The first words.")
    output = serializers.CharField(help_text="The first words.")
    cost_usd = serializers.CharField(allow_null=True)
    running_cost_usd = serializers.CharField(
        allow_null=True, help_text="What the session cost up to this turn; null: unknown."
    )


class SessionDetailSerializer(SessionSerializer):
    """One session with its turns."""

    turns = SessionTurnSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class UserSerializer(_SumsSerializer):
    """One user added up."""

    user = serializers.CharField()
    trace_count = serializers.IntegerField()
    session_count = serializers.IntegerField()


class ErrorGroupSerializer(serializers.Serializer[Any]):
    """One kind of failure."""

    fingerprint = serializers.CharField()
    status = serializers.ChoiceField(ErrorStatus.choices)
    error_type = serializers.CharField()
    message = serializers.CharField(help_text="The latest one.")
    pattern = serializers.CharField(help_text="What all messages have in common.")
    place = serializers.CharField(help_text="The model or the step's name.")
    type = serializers.CharField(help_text="The step's type.")
    provider = serializers.CharField()
    count = serializers.IntegerField()
    trace_count = serializers.IntegerField()
    user_count = serializers.IntegerField()
    first_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField()
    last_release = serializers.CharField()
    resolved_at = serializers.DateTimeField(allow_null=True)
    resolved_release = serializers.CharField()
    reopened_at = serializers.DateTimeField(allow_null=True)


class ErrorDetailSerializer(ErrorGroupSerializer):
    """One kind of failure with its newest traces."""

    trace_ids = serializers.ListField(child=serializers.CharField())


class _PageSerializer(serializers.Serializer[Any]):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)


class SessionPageSerializer(_PageSerializer):
    """A page of sessions."""

    results = SessionSerializer(many=True)


class UserPageSerializer(_PageSerializer):
    """A page of users."""

    results = UserSerializer(many=True)


class ErrorGroupPageSerializer(_PageSerializer):
    """A page of errors."""

    results = ErrorGroupSerializer(many=True)
