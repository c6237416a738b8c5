"""Shapes of rules in the API. What a rule may say is checked by alerts.rules.drafts."""

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from alerts.measures.base import Measure
from alerts.models import (
    AlertKind,
    AlertState,
    CompareWith,
    Delivery,
    Direction,
    NoData,
    Severity,
    StateStatus,
)
from alerts.rules.drafts import ALWAYS, BY_MEASURE, measure_fields
from alerts.rules.overview import STATES, Row
from alerts.rules.preview import Preview
from alerts.rules.words import measure_or_none, unit_of
from costs.serializers import AmountField

RULE_STATES = [(one, one) for one in STATES if one]


class LevelSerializer(serializers.Serializer[Any]):
    """A limit and how bad passing it is."""

    limit = serializers.CharField(help_text="In the kind's unit, as a decimal string")
    severity = serializers.ChoiceField(choices=Severity.choices)


class RuleDraftSerializer(serializers.Serializer[Any]):
    """A rule to save or to preview. Which of the fields a kind takes, `GET …/alerts/kinds` says."""

    name = serializers.CharField(max_length=120)
    kind = serializers.ChoiceField(choices=AlertKind.choices)
    levels = LevelSerializer(many=True, help_text="At most 10, each one further and as severe")
    project = serializers.CharField(required=False, help_text="Slug or id; empty: all projects")
    environment = serializers.CharField(required=False)
    provider = serializers.CharField(required=False)
    model = serializers.CharField(required=False)
    agent = serializers.CharField(required=False)
    user_id = serializers.CharField(required=False)
    tag = serializers.CharField(required=False, help_text="Not together with user_id")
    budget = serializers.UUIDField(required=False, help_text="Left out: every budget")
    score_name = serializers.CharField(required=False)
    percentile = serializers.IntegerField(required=False, help_text="1 to 99, default 95")
    direction = serializers.ChoiceField(choices=Direction.choices, required=False)
    compare_with = serializers.ChoiceField(
        choices=CompareWith.choices, required=False, help_text="before: limits are changes in percent"
    )  # fmt: skip
    window_minutes = serializers.IntegerField(required=False, help_text="1 to 10080, default 15")
    minimum_sample = serializers.IntegerField(required=False, help_text="Fewest calls to judge")
    pending_minutes = serializers.IntegerField(required=False)
    recover_margin = serializers.CharField(
        required=False, help_text="Share of the limit, 0.05 by default"
    )
    recover_minutes = serializers.IntegerField(required=False)
    on_no_data = serializers.ChoiceField(choices=NoData.choices, required=False)
    channels = serializers.ListField(child=serializers.UUIDField(), required=False)
    escalation_channels = serializers.ListField(child=serializers.UUIDField(), required=False)
    escalate_minutes = serializers.IntegerField(required=False, allow_null=True)
    remind_hours = serializers.IntegerField(required=False, allow_null=True, help_text="24 to 720")
    note = serializers.CharField(required=False)
    is_enabled = serializers.BooleanField(required=False, help_text="True by default")


# Allocation has rules, too.
@extend_schema_serializer(component_name="AlertRule")
class RuleSerializer(serializers.Serializer[Any]):
    """A rule and where it stands. Written from an overview.Row by `rule_json`."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=AlertKind.choices)
    project = serializers.CharField(allow_null=True, help_text="Slug; null: all projects")
    environment = serializers.CharField(allow_blank=True)
    provider = serializers.CharField(allow_blank=True)
    model = serializers.CharField(allow_blank=True)
    agent = serializers.CharField(allow_blank=True)
    user_id = serializers.CharField(allow_blank=True)
    tag = serializers.CharField(allow_blank=True)
    budget = serializers.UUIDField(allow_null=True)
    score_name = serializers.CharField(allow_blank=True)
    percentile = serializers.IntegerField(allow_null=True)
    direction = serializers.ChoiceField(choices=Direction.choices)
    compare_with = serializers.ChoiceField(choices=CompareWith.choices)
    levels = LevelSerializer(many=True)
    unit = serializers.CharField(help_text="Of limits and value")
    window_minutes = serializers.IntegerField()
    minimum_sample = serializers.IntegerField()
    pending_minutes = serializers.IntegerField()
    recover_margin = AmountField()
    recover_minutes = serializers.IntegerField()
    on_no_data = serializers.ChoiceField(choices=NoData.choices)
    channels = serializers.ListField(child=serializers.UUIDField())
    escalation_channels = serializers.ListField(child=serializers.UUIDField())
    escalate_minutes = serializers.IntegerField(allow_null=True)
    remind_hours = serializers.IntegerField(allow_null=True)
    note = serializers.CharField(allow_blank=True)
    is_enabled = serializers.BooleanField()
    muted_until = serializers.DateTimeField(allow_null=True)
    condition = serializers.CharField(help_text="What it says, in words")
    scope = serializers.CharField(help_text="What it watches, in words")
    state = serializers.ChoiceField(choices=RULE_STATES, help_text="The worst of what it watches")
    value = AmountField(allow_null=True, help_text="Of the worst")
    since = serializers.DateTimeField(allow_null=True)
    firing = serializers.IntegerField(help_text="How many of the watched things fire")
    last_fired_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


_SAME = (
    "id", "name", "kind", "environment", "provider", "model", "agent", "user_id", "tag", "score_name", "percentile",
    "direction", "compare_with", "levels", "window_minutes", "minimum_sample", "pending_minutes",
    "recover_margin", "recover_minutes", "on_no_data", "escalate_minutes", "remind_hours", "note", "is_enabled",
    "muted_until", "created_at", "updated_at",
)  # fmt: skip


def rule_json(row: Row) -> dict[str, Any]:
    """The JSON of one rule."""
    alert = row.alert
    found: dict[str, Any] = {name: getattr(alert, name) for name in _SAME}
    found |= {
        "project": alert.project.slug if alert.project else None,
        "budget": alert.budget_id,
        "unit": unit_of(alert),
        "channels": [one.id for one in row.channels],
        "escalation_channels": [one.id for one in row.escalation],
        "condition": row.condition,
        "scope": row.scope,
        "state": row.state,
        "value": row.worst.value if row.worst else None,
        "since": row.since,
        "firing": row.firing,
        "last_fired_at": row.fired_at,
    }
    return dict(RuleSerializer(found).data)


def draft_json(row: Row) -> dict[str, Any]:
    """A stored rule as the body that would make it: what PATCH changes parts of."""
    alert = row.alert
    measure = measure_or_none(alert.kind)
    names = {*ALWAYS, *(measure_fields(measure) if measure else BY_MEASURE)}
    found: dict[str, Any] = {name: getattr(alert, name) for name in names if hasattr(alert, name)}
    return found | {
        "project": str(alert.project_id or ""),
        "channels": [one.id for one in row.channels],
        "escalation_channels": [one.id for one in row.escalation],
    } | ({"budget": str(alert.budget_id or "")} if "budget" in names else {})  # fmt: skip


class RulePageSerializer(serializers.Serializer[Any]):
    """A page of rules."""

    results = RuleSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="Address of the next page")


class StateSerializer(serializers.Serializer[Any]):
    """Where a rule stands about one thing."""

    key = serializers.CharField(help_text="A budget's id, a provider; empty for most kinds")
    subject = serializers.CharField()
    status = serializers.ChoiceField(choices=StateStatus.choices)
    level = serializers.IntegerField(help_text="Place of the level that holds, -1 for none")
    value = AmountField(allow_null=True)
    sample = serializers.IntegerField()
    period = serializers.CharField()
    since = serializers.DateTimeField(allow_null=True)
    evaluated_at = serializers.DateTimeField(allow_null=True)


@extend_schema_serializer(component_name="AlertRuleDetail")
class RuleDetailSerializer(RuleSerializer):
    """A rule with where it stands about each thing it watches."""

    states = StateSerializer(many=True)
    states_next = serializers.URLField(allow_null=True, help_text="Address of the next states")


def detail_json(row: Row, states: list[AlertState], states_next: str | None) -> dict[str, Any]:
    """The JSON of one rule with a page of its states."""
    shown = list(StateSerializer(states, many=True).data)
    return rule_json(row) | {"states": shown, "states_next": states_next}


class KindSerializer(serializers.Serializer[Any]):
    """What a rule can watch, and which fields it then takes."""

    kind = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    help = serializers.CharField()
    unit = serializers.CharField(help_text="usd, percent, ms, per_minute, seconds, minutes, score")
    fields = serializers.ListField(  # type: ignore[assignment]
        child=serializers.CharField(), help_text="Beside those that every rule has"
    )
    is_windowed = serializers.BooleanField(help_text="Judged each minute over its window")


def kind_json(measure: Measure) -> dict[str, Any]:
    """A measure describes itself."""
    return {
        "kind": measure.kind,
        "label": measure.label,
        "help": measure.help,
        "unit": measure.unit,
        "fields": [name for name in BY_MEASURE if name in measure_fields(measure)],
        "is_windowed": measure.is_windowed,
    }


class KindsSerializer(serializers.Serializer[Any]):
    """All kinds, and the fields that every rule has."""

    results = KindSerializer(many=True)
    always = serializers.ListField(child=serializers.CharField())


class FiringSerializer(serializers.Serializer[Any]):
    """One time a rule would have fired."""

    at = serializers.DateTimeField()
    severity = serializers.ChoiceField(choices=Severity.choices)
    limit = serializers.CharField(help_text="In words")
    value = serializers.CharField(help_text="In words")
    resolved_at = serializers.DateTimeField(allow_null=True)


class RulePreviewSerializer(serializers.Serializer[Any]):
    """What a rule would have done in the last 30 days."""

    times = serializers.IntegerField()
    words = serializers.CharField()
    note = serializers.CharField(allow_blank=True, help_text="How coarsely the past is known")
    has_values = serializers.BooleanField()
    firings = FiringSerializer(many=True)


def preview_json(preview: Preview) -> dict[str, Any]:
    """The JSON of a preview."""
    shown = {name: getattr(preview, name) for name in ("words", "note", "has_values", "firings")}
    return dict(RulePreviewSerializer({"times": len(preview.firings), **shown}).data)


class MuteSerializer(serializers.Serializer[Any]):
    """Until when nobody is told."""

    until = serializers.DateTimeField(help_text="ISO 8601, at most a year ahead")


class RuleTestDeliverySerializer(serializers.Serializer[Any]):
    """One test message on its way."""

    id = serializers.IntegerField()
    message_id = serializers.UUIDField()
    channel = serializers.UUIDField()
    channel_name = serializers.CharField()
    state = serializers.CharField()
    url = serializers.CharField(help_text="Ask here what became of it")


class RuleTestSerializer(serializers.Serializer[Any]):
    """The deliveries of a test."""

    deliveries = RuleTestDeliverySerializer(many=True)


def sent_json(sent: list[Delivery], urls: dict[int, str]) -> dict[str, Any]:
    """The JSON of queued tests."""
    rows = [
        {
            "id": one.pk,
            "message_id": one.message_id,
            "channel": one.channel_id,
            "channel_name": one.channel.name if one.channel else "",
            "state": one.state,
            "url": urls.get(one.pk, ""),
        }
        for one in sent
    ]
    return dict(RuleTestSerializer({"deliveries": rows}).data)
