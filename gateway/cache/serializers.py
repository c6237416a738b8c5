"""Shapes of kept answers in the API."""

from typing import Any

from rest_framework import serializers

from gateway.models import CachedResponse


class CachedAnswerSerializer(serializers.ModelSerializer[CachedResponse]):
    """A kept answer, without what it says."""

    is_by_meaning = serializers.SerializerMethodField(
        help_text="Whether other questions of the same meaning find it"
    )
    facts = serializers.DictField(help_text="Of the answer: provider, model, tokens, finish reason")

    class Meta:
        model = CachedResponse
        fields = (
            "id", "model", "route", "namespace", "prompt_version", "dialect", "is_by_meaning", "facts", "cost_usd",
            "hits", "saved_usd", "last_hit_at", "created_at", "expires_at",
        )  # fmt: skip

    def get_is_by_meaning(self, row: CachedResponse) -> bool:
        return bool(row.scope)


class CachedAnswerPageSerializer(serializers.Serializer[Any]):
    """A page of them."""

    results = CachedAnswerSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class CachedAnswerDetailSerializer(CachedAnswerSerializer):
    """With what it says, as far as the project's contents may be read."""

    question = serializers.CharField()
    answer = serializers.CharField()
    why_not = serializers.CharField(help_text="Why nothing is shown; empty: it is")

    class Meta(CachedAnswerSerializer.Meta):
        fields = (*CachedAnswerSerializer.Meta.fields, "question", "answer", "why_not")  # type: ignore[assignment]


class CachePurgedSerializer(serializers.Serializer[Any]):
    """What a purge did."""

    deleted = serializers.IntegerField()


class CacheBucketSerializer(serializers.Serializer[Any]):
    """An hour or a day."""

    at = serializers.DateTimeField()
    exact_usd = serializers.DecimalField(max_digits=28, decimal_places=12)
    semantic_usd = serializers.DecimalField(max_digits=28, decimal_places=12)


class CacheFiguresSerializer(serializers.Serializer[Any]):
    """What the caches did. `rate` is null when no call looked."""

    asked = serializers.IntegerField()
    hits = serializers.IntegerField()
    exact = serializers.IntegerField()
    semantic = serializers.IntegerField()
    unpriced = serializers.IntegerField(help_text="Hits whose saving is unknown")
    rate = serializers.FloatField(allow_null=True)
    saved_usd = serializers.DecimalField(max_digits=28, decimal_places=12)
    buckets = CacheBucketSerializer(many=True)


class CacheChecksSerializer(serializers.Serializer[Any]):
    """A route's checked hits by meaning. `low` and `high` hold the wrong-hit rate in 95 of 100 cases."""

    route = serializers.CharField(help_text="Empty: calls that no route names")
    checked = serializers.IntegerField(source="record.checked")
    wrong = serializers.IntegerField(source="record.wrong")
    unsure = serializers.IntegerField(source="record.unsure")
    wrong_rate = serializers.FloatField(source="record.rate", allow_null=True)
    low = serializers.FloatField(source="record.low")
    high = serializers.FloatField(source="record.high")
    threshold = serializers.FloatField(
        allow_null=True, help_text="What the rule says; null: it answers nothing by meaning"
    )
    tightened_to = serializers.FloatField(
        source="tightened.threshold", allow_null=True, default=None
    )
    tightened_at = serializers.DateTimeField(
        source="tightened.tightened_at", allow_null=True, default=None
    )
