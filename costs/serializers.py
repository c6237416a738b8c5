"""Shapes of cost answers. They only describe and write; amounts are decimal strings with every digit."""

from typing import Any

from rest_framework import serializers

from core.formats import plain_decimal
from costs.models import CostRecord


class AmountField(serializers.CharField):
    """A sum of money as a plain decimal string: no rounding, no exponent."""

    def to_representation(self, value: Any) -> str:
        return plain_decimal(value)


class SumsSerializer(serializers.Serializer[Any]):
    """Some calls together. `cost_usd` is the cost of the priced ones; `unpriced_calls` says how many are not in it."""

    calls = serializers.IntegerField()
    errors = serializers.IntegerField()  # type: ignore[assignment]  # DRF takes fields off the class
    unpriced_calls = serializers.IntegerField()
    estimated_calls = serializers.IntegerField()
    input_tokens = serializers.IntegerField(help_text="Whole input, cached tokens included")
    output_tokens = serializers.IntegerField(help_text="Whole output, reasoning included")
    cache_read_input_tokens = serializers.IntegerField()
    cache_write_input_tokens = serializers.IntegerField()
    reasoning_output_tokens = serializers.IntegerField()
    cost_usd = AmountField(
        source="known_cost_usd",
        allow_null=True,
        help_text="Decimal string, full precision; null when nothing is known but unpriced calls",
    )


class SpendLineSerializer(SumsSerializer):
    """One bin and group."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    group = serializers.CharField(
        allow_null=True, help_text="Null without group_by; empty for calls without a value"
    )


class SpendTotalSerializer(SumsSerializer):
    """Everything in the range; latencies are null when an extra dimension filters."""

    p50_ms = serializers.FloatField(allow_null=True)
    p95_ms = serializers.FloatField(allow_null=True)


class RangeSerializer(serializers.Serializer[Any]):
    """The range really used: whole UTC hours, `end` not included."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()


class SpendSerializer(serializers.Serializer[Any]):
    """The answer of `GET …/costs`."""

    project = serializers.CharField()
    currency = serializers.CharField()
    granularity = serializers.ChoiceField(choices=["hourly", "daily", "total"])
    group_by = serializers.CharField(allow_null=True)
    range = RangeSerializer()
    generated_at = serializers.DateTimeField()
    total = SpendTotalSerializer()
    results = SpendLineSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="Address of the next page")


class PriceTierSerializer(serializers.Serializer[Any]):
    """A price for calls with more input tokens than this."""

    above_input_tokens = serializers.IntegerField()
    price_usd = AmountField()


class ClassPriceSerializer(serializers.Serializer[Any]):
    """The price of one token class."""

    token_class = serializers.CharField()
    price_usd = AmountField()
    per = serializers.IntegerField(help_text="How many units the price buys")
    tiers = PriceTierSerializer(many=True)


class ListPriceSerializer(serializers.Serializer[Any]):
    """What the model costs now, the organisation's rules included, or why that is not known."""

    status = serializers.ChoiceField(choices=["priced", "free", "unpriced"])
    source = serializers.CharField()  # type: ignore[assignment]  # DRF takes fields off the class
    matched_model = serializers.CharField()
    reason = serializers.CharField()
    override = serializers.IntegerField(
        allow_null=True, help_text="Number of the organisation's own price"
    )
    discount = serializers.IntegerField(
        allow_null=True, help_text="Number of the discount taken off"
    )
    valid_from = serializers.DateField(allow_null=True, help_text="First day of this price (UTC)")
    valid_to = serializers.DateField(allow_null=True, help_text="Last day of this price (UTC)")
    classes = ClassPriceSerializer(many=True)


class ModelUsageSerializer(SumsSerializer):
    """A model in use."""

    provider = serializers.CharField()
    model = serializers.CharField()
    first_seen_at = serializers.DateTimeField(help_text="First hour of the range with a call")
    last_seen_at = serializers.DateTimeField(help_text="Last hour of the range with a call")
    price = ListPriceSerializer()


class ModelListSerializer(serializers.Serializer[Any]):
    """The answer of `GET …/models`."""

    project = serializers.CharField()
    currency = serializers.CharField()
    range = RangeSerializer()
    generated_at = serializers.DateTimeField()
    results = ModelUsageSerializer(many=True)


class CostRecordSerializer(serializers.ModelSerializer[CostRecord]):
    """One ledger row. `cost_usd` null means unpriced, never zero."""

    cost_usd = AmountField(allow_null=True)
    client_cost_usd = AmountField(allow_null=True)

    class Meta:
        model = CostRecord
        exclude = ["id", "project"]
        read_only_fields = [
            field.name for field in CostRecord._meta.fields if field.name not in ("id", "project")
        ]


class CostRecordPageSerializer(serializers.Serializer[Any]):
    """The answer of `GET …/costs/records`."""

    range = RangeSerializer()
    results = CostRecordSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="Address of the next page")
