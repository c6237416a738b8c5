"""Shapes of channels and their messages in the API. No shape has a secret: they go in and never out."""

from typing import Any

from rest_framework import serializers

from alerts.channel_pages.selectors import Row
from alerts.models import ChannelKind, Delivery, DeliveryAction, DeliveryState, Severity
from core.api.serializers import StrictSerializer

STATES = ["on", "failing", "disabled", "broken"]


class ChannelFieldSerializer(serializers.Serializer[Any]):
    """One thing a kind needs, in `values`."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # DRF takes fields off the class
    help = serializers.CharField()
    is_secret = serializers.BooleanField()
    is_required = serializers.BooleanField()
    choices = serializers.SerializerMethodField()
    default = serializers.CharField()

    def get_choices(self, field: Any) -> list[str]:
        return [value for value, _ in field.choices]


class ChannelKindSerializer(serializers.Serializer[Any]):
    """A kind of channel."""

    kind = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    help = serializers.CharField()
    fields_ = ChannelFieldSerializer(many=True, source="fields")

    def to_representation(self, instance: Any) -> dict[str, Any]:
        found = super().to_representation(instance)
        return {**found, "fields": found.pop("fields_")}


class ChannelSerializer(serializers.Serializer[Row]):
    """A channel and how it stands."""

    id = serializers.UUIDField(source="channel.pk")
    kind = serializers.ChoiceField(choices=ChannelKind.choices, source="channel.kind")
    name = serializers.CharField(source="channel.name")
    hint = serializers.CharField(
        source="channel.hint", help_text="What people recognise the receiver by; never a secret"
    )
    settings = serializers.DictField(source="channel.settings", help_text="What is no secret")
    minimum_severity = serializers.ChoiceField(
        choices=Severity.choices, source="channel.minimum_severity"
    )
    is_enabled = serializers.BooleanField(source="channel.is_enabled")
    state = serializers.ChoiceField(
        choices=STATES, help_text="`broken`: switched off by itself; `disabled_reason` says why"
    )
    disabled_at = serializers.DateTimeField(source="channel.disabled_at", allow_null=True)
    disabled_reason = serializers.CharField(source="channel.disabled_reason")
    failing_since = serializers.DateTimeField(source="channel.failing_since", allow_null=True)
    last_sent_at = serializers.DateTimeField(source="channel.last_sent_at", allow_null=True)
    created_at = serializers.DateTimeField(source="channel.created_at")
    rules = serializers.IntegerField(help_text="Rules that tell it")
    waiting = serializers.IntegerField(help_text="Messages on their way")
    dead = serializers.IntegerField(help_text="Messages that were given up")


class ChannelPageSerializer(serializers.Serializer[Any]):
    """A page of channels."""

    results = ChannelSerializer(many=True)
    next = serializers.URLField(allow_null=True)


class SavedChannelSerializer(ChannelSerializer):
    """With the secret that was made for it."""

    signing_secret = serializers.CharField(
        allow_null=True,
        help_text="Of webhooks, when one was just made: shown now and never again",
    )


class SigningSecretSerializer(serializers.Serializer[Any]):
    """A rotated secret."""

    signing_secret = serializers.CharField(help_text="Shown now and never again")


class ChannelDraftSerializer(StrictSerializer):
    """A new channel."""

    kind = serializers.CharField(max_length=40)
    name = serializers.CharField(max_length=80)
    minimum_severity = serializers.ChoiceField(choices=Severity.choices, default=Severity.INFO)
    values = serializers.DictField(
        help_text="What the kind's fields ask for (`…/alerts/channels/kinds`), secrets among them"
    )


class ChannelChangeSerializer(StrictSerializer):
    """What changes; left out stays. In `values` an empty secret keeps the stored one, null forgets an optional one."""

    name = serializers.CharField(max_length=80, required=False)
    minimum_severity = serializers.ChoiceField(choices=Severity.choices, required=False)
    is_enabled = serializers.BooleanField(required=False)
    values = serializers.DictField(required=False)


class TrySerializer(serializers.Serializer[Any]):
    """One try."""

    at = serializers.CharField()
    status = serializers.IntegerField(allow_null=True)
    ms = serializers.IntegerField(allow_null=True)
    error = serializers.CharField(allow_blank=True)


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    """A message to a channel and its tries."""

    channel = serializers.UUIDField(source="channel_id", allow_null=True)
    event = serializers.UUIDField(source="event_id", allow_null=True)
    title = serializers.SerializerMethodField()
    action = serializers.ChoiceField(choices=DeliveryAction.choices)
    state = serializers.ChoiceField(choices=DeliveryState.choices)
    tries = TrySerializer(many=True)

    class Meta:
        model = Delivery
        fields = (
            "id", "message_id", "channel", "event", "action", "title", "dedup_key", "state", "attempts", "created_at",
            "next_attempt_at", "ended_at", "status_code", "duration_ms", "answer", "error", "tries",
        )  # fmt: skip

    def get_title(self, delivery: Delivery) -> str:
        return str(delivery.payload.get("title", ""))


def channel_json(row: Row) -> dict[str, Any]:
    return dict(ChannelSerializer(row).data)


def saved_json(row: Row, shown: str) -> dict[str, Any]:
    return {**channel_json(row), "signing_secret": shown or None}
