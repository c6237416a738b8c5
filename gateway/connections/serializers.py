"""Shapes of connections and keys in the API. No shape has a secret: they go in and never out."""

from typing import Any

from rest_framework import serializers

from core.api.serializers import StrictSerializer
from gateway.connections.holding import OVERLAPS
from gateway.connections.selectors import KeyRow, Row
from gateway.models import KeyState, ProviderKind

STATES = ["off", "testing", "no_key", "ok", "error", "lost", "never"]


class GatewayFieldSerializer(serializers.Serializer[Any]):
    """One setting of a kind."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # DRF takes fields off the class
    help = serializers.CharField()
    kind = serializers.CharField()


class ConnectionKindSerializer(serializers.Serializer[Any]):
    """A kind of provider, and what a connection of it needs."""

    kind = serializers.CharField()
    name = serializers.CharField()
    about = serializers.CharField()
    base_url = serializers.CharField(help_text="Where it is unless said otherwise")
    needs_address = serializers.BooleanField()
    needs_key = serializers.BooleanField()
    dialects = serializers.SerializerMethodField(
        help_text="The wires it speaks by itself; others are translated"
    )
    settings = GatewayFieldSerializer(many=True, source="fields")

    def get_dialects(self, provider: Any) -> list[str]:
        return sorted(provider.native)


class ConnectionKeySerializer(serializers.Serializer[KeyRow]):
    """A key that counts now."""

    id = serializers.UUIDField(source="key.pk")
    hint = serializers.CharField(source="key.hint", help_text="What people recognise it by")
    weight = serializers.IntegerField(source="key.weight")
    state = serializers.ChoiceField(choices=KeyState.choices, source="key.state")
    share = serializers.FloatField(
        allow_null=True, help_text="Of the calls, 0 to 1; null for a replaced one that stands in"
    )
    retires_at = serializers.DateTimeField(source="key.retires_at", allow_null=True)
    created_at = serializers.DateTimeField(source="key.created_at")
    checked_at = serializers.DateTimeField(source="key.checked_at", allow_null=True)
    last_error = serializers.CharField(
        source="key.last_error", help_text="What the last test with it said; empty: it worked"
    )


class GatewayConnectionSerializer(serializers.Serializer[Row]):
    """A connection and how it stands."""

    id = serializers.UUIDField(source="connection.pk")
    name = serializers.CharField(source="connection.name")
    kind = serializers.ChoiceField(choices=ProviderKind.choices, source="connection.kind")
    base_url = serializers.CharField(source="address", help_text="Where it is called")
    settings = serializers.DictField(source="connection.settings")
    model_names = serializers.ListField(
        child=serializers.CharField(), source="connection.model_names"
    )
    offered_models = serializers.ListField(
        child=serializers.CharField(),
        source="connection.offered_models",
        help_text="What it listed at its last test",
    )
    project = serializers.UUIDField(
        source="connection.project_id", allow_null=True, help_text="null: all projects"
    )
    is_enabled = serializers.BooleanField(source="connection.is_enabled")
    state = serializers.ChoiceField(choices=STATES, help_text="`lost`: no worker did the last test")
    check_started_at = serializers.DateTimeField(
        source="connection.check_started_at", allow_null=True
    )
    checked_at = serializers.DateTimeField(source="connection.checked_at", allow_null=True)
    check_message = serializers.CharField(
        source="connection.check_message", help_text="The provider's words, secrets taken out"
    )
    check_model = serializers.CharField(source="connection.check_model")
    check_ms = serializers.IntegerField(source="connection.check_ms", allow_null=True)
    created_at = serializers.DateTimeField(source="connection.created_at")
    keys = ConnectionKeySerializer(many=True)


class GatewayConnectionPageSerializer(serializers.Serializer[Any]):
    """A page of connections."""

    results = GatewayConnectionSerializer(many=True)
    next = serializers.URLField(allow_null=True)


class _Settable(StrictSerializer):
    base_url = serializers.CharField(max_length=600, required=False, allow_blank=True)
    settings = serializers.DictField(required=False)
    model_names = serializers.ListField(child=serializers.CharField(), required=False)
    project = serializers.UUIDField(
        required=False, allow_null=True, help_text="The only project that may use it; null: all"
    )
    secret = serializers.CharField(
        required=False, allow_blank=True, write_only=True, trim_whitespace=True
    )

    def to_internal_value(self, data: Any) -> Any:
        found = super().to_internal_value(data)
        if "project" in found:
            found["project_id"] = found.pop("project")
        return found


class GatewayConnectionDraftSerializer(_Settable):
    """A new connection with its first key."""

    kind = serializers.CharField(max_length=40)
    name = serializers.CharField(max_length=80)
    weight = serializers.IntegerField(required=False, default=1)


class GatewayConnectionChangeSerializer(_Settable):
    """What changes; left out stays. `secret` only beside a `base_url` at another host."""

    name = serializers.CharField(max_length=80, required=False)
    is_enabled = serializers.BooleanField(required=False)


class GatewayTestSerializer(StrictSerializer):
    """What to ask."""

    model = serializers.CharField(
        max_length=200,
        required=False,
        allow_blank=True,
        default="",
        help_text="Empty: the cheapest",
    )


class KeyDraftSerializer(StrictSerializer):
    """One more key."""

    secret = serializers.CharField(write_only=True)
    weight = serializers.IntegerField(required=False, default=1)


class KeyWeightSerializer(StrictSerializer):
    """Another share."""

    weight = serializers.IntegerField(min_value=1, max_value=100)


class KeyRotationSerializer(StrictSerializer):
    """A new key in its place."""

    secret = serializers.CharField(write_only=True)
    overlap = serializers.ChoiceField(
        choices=list(OVERLAPS),
        help_text="How long the old key stands in when the new one is refused",
    )
