"""The overview's shape in the API."""

from typing import Any

from rest_framework import serializers

from costs.serializers import AmountField

_NULL = "null: unknown, or nothing was measured"


class GatewaySumsSerializer(serializers.Serializer[Any]):
    """Some calls together."""

    calls = serializers.IntegerField()
    answered = serializers.IntegerField()
    cached = serializers.IntegerField()
    failed = serializers.IntegerField(help_text="Failed, too late or lost: no answer came")
    refused = serializers.IntegerField(help_text="By limits, checks or for what they asked")
    cancelled = serializers.IntegerField()
    fell_back = serializers.IntegerField(source="fell")
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    cost_usd = AmountField(help_text="Of the calls with a price")
    unpriced = serializers.IntegerField(help_text="Answered calls of unknown cost")
    cache_lookups = serializers.IntegerField(source="looked")
    cache_hits = serializers.IntegerField(source="hits")
    saved_usd = AmountField()


class GatewayBarSerializer(GatewaySumsSerializer):
    """The calls of one bar."""

    at = serializers.DateTimeField(help_text="When it begins")


class GatewayPrioritySerializer(serializers.Serializer[Any]):
    """One priority of the queue."""

    priority = serializers.CharField()
    waiting = serializers.IntegerField(allow_null=True, help_text="Now; null: Redis is away")
    oldest_s = serializers.FloatField(allow_null=True)
    waited = serializers.IntegerField(help_text="Calls of the time that waited for a worker")
    p50_ms = serializers.FloatField(allow_null=True, help_text=_NULL)
    p95_ms = serializers.FloatField(allow_null=True, help_text=_NULL)


class GatewayQueueSerializer(serializers.Serializer[Any]):
    """What waits, and who takes it."""

    is_known = serializers.BooleanField(help_text="false: Redis does not answer")
    limit = serializers.IntegerField(help_text="Calls of the project that may wait")
    workers = serializers.IntegerField()
    priorities = GatewayPrioritySerializer(many=True)


class GatewayTargetSerializer(serializers.Serializer[Any]):
    """How a provider's model did."""

    connection = serializers.UUIDField(source="connection_id")
    name = serializers.CharField(help_text="The connection's")
    model = serializers.CharField(source="tried.model")
    circuit = serializers.ChoiceField(["closed", "open", "half_open"], source="standing")
    open_since = serializers.DateTimeField(allow_null=True)
    limited_until = serializers.DateTimeField(allow_null=True)
    tries = serializers.IntegerField(source="tried.tries")
    failed = serializers.IntegerField(source="tried.failed")
    limited = serializers.IntegerField(source="tried.limited")
    p50_ms = serializers.FloatField(source="tried.p50_ms", allow_null=True)
    p95_ms = serializers.FloatField(source="tried.p95_ms", allow_null=True)


class GatewayFallbackSerializer(serializers.Serializer[Any]):
    """From where to where calls fell."""

    connection = serializers.UUIDField()
    model = serializers.CharField()
    next_connection = serializers.UUIDField()
    next_model = serializers.CharField()
    error = serializers.CharField(help_text="The class of the error, such as rate_limit")
    calls = serializers.IntegerField()
    last_at = serializers.DateTimeField()


class GatewayNearLimitSerializer(serializers.Serializer[Any]):
    """A limit near its end."""

    id = serializers.UUIDField(source="limit.pk")
    name = serializers.CharField(source="limit.name")
    state = serializers.CharField()
    busiest = serializers.CharField(source="top.label")
    share = serializers.FloatField(source="top.share")
    resets_at = serializers.DateTimeField(allow_null=True)


class GatewayHardBudgetSerializer(serializers.Serializer[Any]):
    """A hard budget near its end."""

    id = serializers.UUIDField(source="budget.pk")
    name = serializers.CharField(source="budget.name")
    limit_usd = AmountField()
    spent_usd = AmountField()
    share = serializers.FloatField()
    resets_at = serializers.DateTimeField()


class GatewayNoticeSerializer(serializers.Serializer[Any]):
    """Something to look at."""

    key = serializers.CharField()
    severity = serializers.ChoiceField(["bad", "warn"], source="tone")
    title = serializers.CharField()
    why = serializers.CharField()
    url = serializers.CharField(source="href", help_text="The page about it")


class GatewayOverviewSerializer(serializers.Serializer[Any]):
    """A project's gateway over a time."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    total = GatewaySumsSerializer()
    bars = GatewayBarSerializer(many=True, help_text="Those with calls, in order")
    queue = GatewayQueueSerializer()
    targets = GatewayTargetSerializer(many=True)
    fallbacks = GatewayFallbackSerializer(many=True)
    limits = GatewayNearLimitSerializer(many=True)
    budgets = GatewayHardBudgetSerializer(many=True, help_text="Hard ones nearest to their end")
    attention = GatewayNoticeSerializer(many=True)
