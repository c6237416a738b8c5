"""Shapes of the API of the inbox and of preferences."""

from rest_framework import serializers

from alerts.models import Digest, EventState, Severity


class PreferenceSerializer(serializers.Serializer[dict[str, object]]):
    """What the person who asks wants to hear of this organisation."""

    inbox_severity = serializers.ChoiceField(
        Severity.choices, help_text="The bell counts this severity and above."
    )
    has_browser = serializers.BooleanField(help_text="Open pages show browser notifications.")
    browser_severity = serializers.ChoiceField(Severity.choices)
    digest = serializers.ChoiceField(Digest.choices)
    digest_hour = serializers.IntegerField(
        min_value=0, max_value=23, help_text="By the person's wall clock."
    )
    digest_weekday = serializers.IntegerField(min_value=0, max_value=6, help_text="0 is Monday.")


class PreferenceAnswerSerializer(PreferenceSerializer):
    time_zone = serializers.CharField(help_text="The person's zone, by which digests go out.")
    digest_next_at = serializers.DateTimeField(allow_null=True)
    read_before = serializers.DateTimeField(allow_null=True, help_text="What fired before is read.")


class InboxEventSerializer(serializers.Serializer[object]):
    """An incident as the bell's list shows it."""

    id = serializers.UUIDField()
    title = serializers.CharField()
    words = serializers.CharField()
    kind = serializers.CharField()
    severity = serializers.ChoiceField(Severity.choices)
    state = serializers.ChoiceField(EventState.choices)
    project = serializers.SlugField(allow_null=True, source="project.slug", default=None)
    fired_at = serializers.DateTimeField()
    resolved_at = serializers.DateTimeField(allow_null=True)
    is_unread = serializers.BooleanField()


class InboxSerializer(serializers.Serializer[dict[str, object]]):
    """What the bell says, and a page of the list."""

    unread = serializers.IntegerField(help_text="At most 100, which means more than 99.")
    firing = serializers.IntegerField()
    open = serializers.IntegerField()
    worst = serializers.CharField(help_text="The highest severity of the open ones; may be empty.")
    results = InboxEventSerializer(many=True)
    next = serializers.URLField(allow_null=True)


class ReadSerializer(serializers.Serializer[dict[str, object]]):
    """Either single incidents, or everything up to an instant (now, when neither is given)."""

    events = serializers.ListField(child=serializers.UUIDField(), required=False, max_length=100)
    until = serializers.DateTimeField(required=False)


class UnreadSerializer(serializers.Serializer[dict[str, object]]):
    unread = serializers.IntegerField()
