"""The shapes of one trace's parts in the API: steps of a subtree, the conversation, the graph."""

from typing import Any

from rest_framework import serializers

from traces.serializers import StepSerializer


class TraceSpanSerializer(StepSerializer):
    """One step with what its subtree adds up to."""

    descendants = serializers.IntegerField(help_text="Steps below this one.")
    subtree_cost_usd = serializers.CharField(
        allow_null=True, help_text="With the steps below; null when none of them has a price."
    )
    subtree_unpriced_calls = serializers.IntegerField()


class TraceSpanPageSerializer(serializers.Serializer[Any]):
    """A page of one trace's steps."""

    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = TraceSpanSerializer(many=True)


class PartSerializer(serializers.Serializer[Any]):
    """One piece of a message."""

    kind = serializers.ChoiceField(["text", "thinking", "call", "result", "json", "media"])
    text = serializers.CharField(allow_blank=True)
    value = serializers.JSONField(allow_null=True)
    name = serializers.CharField(allow_blank=True)
    id = serializers.CharField(allow_blank=True)
    media = serializers.ListField(child=serializers.DictField())


class TurnSerializer(serializers.Serializer[Any]):
    """One message, shown once: where it came up, which call answered with it, which sent it."""

    role = serializers.CharField()
    parts = PartSerializer(many=True)
    step = serializers.CharField(help_text="The step it is read from.")
    said_by = serializers.CharField(allow_null=True)
    sent_by = serializers.ListField(child=serializers.CharField())
    is_cut = serializers.BooleanField(
        help_text="True when longer than 16 KB; the step has all of it."
    )


class TranscriptSerializer(serializers.Serializer[Any]):
    """The conversation of some calls of a trace."""

    next = serializers.CharField(allow_null=True)
    first_call = serializers.IntegerField()
    last_call = serializers.IntegerField()
    calls = serializers.IntegerField(help_text="Calls of the trace.")
    without_content = serializers.ListField(child=serializers.CharField())
    unreadable = serializers.ListField(child=serializers.CharField())
    results = TurnSerializer(many=True)


class NodeSerializer(serializers.Serializer[Any]):
    """One name in the trace."""

    key = serializers.CharField()
    group = serializers.ChoiceField(["agent", "model", "tool"])
    label = serializers.CharField()  # type: ignore[assignment]
    names = serializers.IntegerField(
        help_text="More than 1: the names with the fewest calls together."
    )
    calls = serializers.IntegerField()
    errors = serializers.IntegerField()  # type: ignore[assignment]
    cost_usd = serializers.CharField(allow_null=True, help_text="Of its own steps.")
    unpriced_calls = serializers.IntegerField()
    duration_ms = serializers.FloatField()


class EdgeSerializer(serializers.Serializer[Any]):
    """Calls from one name to another."""

    source = serializers.CharField()  # type: ignore[assignment]
    target = serializers.CharField()
    calls = serializers.IntegerField()
    errors = serializers.IntegerField()  # type: ignore[assignment]
    cost_usd = serializers.CharField(
        allow_null=True, help_text="With everything below the called steps."
    )
    unpriced_calls = serializers.IntegerField()
    duration_ms = serializers.FloatField()


class GraphSerializer(serializers.Serializer[Any]):
    """Who calls whom."""

    nodes = NodeSerializer(many=True)
    edges = EdgeSerializer(many=True)
