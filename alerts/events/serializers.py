"""Shapes of incidents, messages and maintenance windows in the API. Figures are decimal strings; unknown is null."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from alerts.events.details import ShownDelivery
from alerts.events.evidence import read_evidence
from alerts.events.maintenance_lists import WindowRow
from alerts.models import (
    AlertEvent,
    Delivery,
    DeliveryState,
    EventEntry,
    EventState,
    Repeats,
    Severity,
)
from core.api.serializers import StrictSerializer
from costs.serializers import AmountField


class AlertEventSerializer(serializers.Serializer[Any]):
    """An incident: from the first crossing to the recovery."""

    id = serializers.UUIDField()
    title = serializers.CharField()
    words = serializers.CharField(help_text="What happened, with the figures")
    severity = serializers.ChoiceField(choices=Severity.choices)
    state = serializers.ChoiceField(choices=EventState.choices)
    kind = serializers.CharField(help_text="What the rule watches")
    rule = serializers.UUIDField(source="alert_id", allow_null=True, help_text="Null: deleted")
    rule_name = serializers.CharField(source="name")
    project = serializers.SerializerMethodField()
    subject = serializers.CharField(allow_blank=True, help_text="The budget, the provider …")
    period = serializers.CharField(allow_blank=True)
    value = AmountField(allow_null=True)
    limit = AmountField(allow_null=True)
    unit = serializers.CharField(
        allow_blank=True, help_text="usd, percent, ms, per_minute, seconds, minutes or score"
    )
    dedup_key = serializers.CharField(help_text="The same in every message about it")
    began_at = serializers.DateTimeField(help_text="When the limit was first passed")
    fired_at = serializers.DateTimeField()
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    acknowledged_by = serializers.SerializerMethodField()
    snoozed_until = serializers.DateTimeField(
        allow_null=True, help_text="Null while snoozed: until it resolves"
    )
    resolved_at = serializers.DateTimeField(allow_null=True)
    resolve_reason = serializers.CharField(allow_blank=True)
    told_at = serializers.DateTimeField(allow_null=True, help_text="Null: nobody was told yet")

    def get_project(self, event: AlertEvent) -> str | None:
        return event.project.slug if event.project else None

    def get_acknowledged_by(self, event: AlertEvent) -> str | None:
        return event.acknowledged_by.display_name if event.acknowledged_by else None


class EventEntrySerializer(serializers.Serializer[Any]):
    """One line of an incident's timeline."""

    at = serializers.DateTimeField()
    kind = serializers.CharField()
    actor = serializers.SerializerMethodField()
    words = serializers.CharField(allow_blank=True)

    def get_actor(self, entry: EventEntry) -> str | None:
        return entry.actor.display_name if entry.actor else None


class EventPointSerializer(serializers.Serializer[Any]):
    """A place of the course up to the incident; null: not known."""

    at = serializers.DateTimeField()
    value = AmountField(allow_null=True)


class EventCauseSerializer(serializers.Serializer[Any]):
    """A part of the value."""

    dimension = serializers.CharField()
    value = serializers.CharField(allow_blank=True)
    words = serializers.CharField(allow_blank=True)
    share = AmountField(allow_null=True, help_text="Of the whole: 0.8 is 80 %")


class EventEvidenceSerializer(serializers.Serializer[Any]):
    """What was found when it fired or became more severe."""

    rows = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField()), help_text="Label and figure"
    )
    points = EventPointSerializer(many=True)
    causes = EventCauseSerializer(many=True, help_text="Biggest first")
    url = serializers.CharField(allow_blank=True, help_text="Path of the filtered page")


class AlertEventDetailSerializer(AlertEventSerializer):
    """An incident with its evidence and timeline."""

    evidence = serializers.SerializerMethodField()
    entries = serializers.SerializerMethodField()

    @extend_schema_field(EventEvidenceSerializer)
    def get_evidence(self, event: AlertEvent) -> Any:
        return EventEvidenceSerializer(read_evidence(event.evidence)).data

    @extend_schema_field(EventEntrySerializer(many=True))
    def get_entries(self, event: AlertEvent) -> Any:
        return EventEntrySerializer(self.context["entries"], many=True).data


class AlertEventPageSerializer(serializers.Serializer[Any]):
    """Some incidents, and the address of the next ones."""

    results = AlertEventSerializer(many=True)
    next = serializers.URLField(allow_null=True)


class EventDeliverySerializer(serializers.Serializer[Any]):
    """A message about an incident and how it fared."""

    id = serializers.IntegerField(source="row.id")
    message_id = serializers.UUIDField(
        source="row.message_id", help_text="The webhook-id receivers see"
    )
    channel = serializers.SerializerMethodField()
    channel_kind = serializers.SerializerMethodField()
    action = serializers.CharField(source="row.action")
    state = serializers.ChoiceField(choices=DeliveryState.choices)
    told_in = serializers.SerializerMethodField(
        help_text="The message_id of the one message it was folded into"
    )
    attempts = serializers.IntegerField(source="row.attempts")
    created_at = serializers.DateTimeField(source="row.created_at")
    next_attempt_at = serializers.SerializerMethodField()
    ended_at = serializers.DateTimeField(source="row.ended_at", allow_null=True)
    status_code = serializers.IntegerField(source="row.status_code", allow_null=True)
    duration_ms = serializers.IntegerField(source="row.duration_ms", allow_null=True)
    answer = serializers.CharField(source="row.answer", allow_blank=True)
    error = serializers.CharField(source="row.error", allow_blank=True)
    tries = serializers.ListField(
        source="row.tries", child=serializers.DictField(), help_text="at, status, ms, error"
    )

    def get_channel(self, one: ShownDelivery) -> str | None:
        return one.row.channel.name if one.row.channel else one.row.recipient or None

    def get_channel_kind(self, one: ShownDelivery) -> str:
        return one.row.channel.kind if one.row.channel else "email"

    def get_told_in(self, one: ShownDelivery) -> str | None:
        return str(one.told.message_id) if one.told else None

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_next_attempt_at(self, one: ShownDelivery) -> Any:
        row: Delivery = one.row
        return row.next_attempt_at.isoformat() if row.state == DeliveryState.WAITING else None


class EventDeliveryPageSerializer(serializers.Serializer[Any]):
    """Some messages, newest first, and the address of the next ones."""

    results = EventDeliverySerializer(many=True)
    next = serializers.URLField(allow_null=True)


class SnoozeSerializer(StrictSerializer):
    """How long to be quiet about it."""

    until = serializers.DateTimeField(
        allow_null=True, help_text="At most 30 days away; null: until it resolves"
    )


class EventCommentSerializer(StrictSerializer):
    """Something to say in the timeline."""

    words = serializers.CharField(max_length=5000)


class MaintenanceDraftSerializer(StrictSerializer):
    """A window to save."""

    name = serializers.CharField(max_length=120)
    project = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, help_text="Slug or id; empty: all projects"
    )  # fmt: skip
    starts_at = serializers.CharField(
        max_length=40, help_text="ISO 8601; without an offset wall clock of time_zone"
    )
    ends_at = serializers.CharField(max_length=40)
    repeats = serializers.ChoiceField(choices=Repeats.choices, default=Repeats.NEVER)
    time_zone = serializers.CharField(
        max_length=64, default="UTC", help_text="Repeated windows keep their wall clock there"
    )


class MaintenanceSerializer(serializers.Serializer[Any]):
    """A time in which nobody is told, with its running or next turn."""

    id = serializers.UUIDField(source="window.id")
    name = serializers.CharField(source="window.name")
    project = serializers.SerializerMethodField()
    starts_at = serializers.DateTimeField(source="window.starts_at", help_text="Of its first turn")
    ends_at = serializers.DateTimeField(source="window.ends_at")
    repeats = serializers.ChoiceField(source="window.repeats", choices=Repeats.choices)
    time_zone = serializers.CharField(source="window.time_zone")
    state = serializers.ChoiceField(choices=[(one, one) for one in ("running", "planned", "over")])
    turn_starts_at = serializers.SerializerMethodField(help_text="Null: over")
    turn_ends_at = serializers.SerializerMethodField(help_text="Null: over")

    def get_project(self, row: WindowRow) -> str | None:
        return row.window.project.slug if row.window.project else None

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_turn_starts_at(self, row: WindowRow) -> Any:
        return row.span[0].isoformat() if row.span else None

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_turn_ends_at(self, row: WindowRow) -> Any:
        return row.span[1].isoformat() if row.span else None


class MaintenancePageSerializer(serializers.Serializer[Any]):
    """Some windows, and the address of the next ones."""

    results = MaintenanceSerializer(many=True)
    next = serializers.URLField(allow_null=True)
