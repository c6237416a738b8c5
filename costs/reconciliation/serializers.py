"""Shapes of reconciliation in the API. Amounts are decimal strings; unknown is null."""

from typing import Any

from rest_framework import serializers

from costs.models import PriceCheck, ReconciledCause, ReconciledCell
from costs.serializers import AmountField


class MonthSerializer(serializers.Serializer[Any]):
    """A provider's month: both sides, the causes between them, what stays unexplained."""

    provider = serializers.CharField()
    month = serializers.DateField(help_text="Its first day")
    billed_usd = AmountField()
    recorded_usd = AmountField()
    gap_usd = AmountField()
    coverage = AmountField(
        allow_null=True, help_text="Share of the bill that recorded cost explains, 0 to 1"
    )
    unexplained_usd = AmountField()
    causes = serializers.DictField(child=AmountField(), help_text="Cause → US dollars")
    unconverted = serializers.DictField(
        child=AmountField(), help_text="Currency → amount without a rate; in none of the sums"
    )
    is_settled = serializers.BooleanField(help_text="The provider has said all it will")


class CauseSerializer(serializers.ModelSerializer[ReconciledCause]):
    """One cause of a gap with its evidence."""

    amount_usd = AmountField()

    class Meta:
        model = ReconciledCause
        fields = ["kind", "amount_usd", "evidence"]


class CellSerializer(serializers.ModelSerializer[ReconciledCell]):
    """A day of a model. `billed_usd` − `recorded_usd` is the sum of the causes and `unexplained_usd`."""

    billed_usd = AmountField()
    recorded_usd = AmountField()
    gap_usd = AmountField()
    unexplained_usd = AmountField()
    causes = CauseSerializer(many=True)

    class Meta:
        model = ReconciledCell
        fields = [
            "id", "provider", "day", "model", "billed_usd", "recorded_usd", "gap_usd", "causes", "unexplained_usd",
            "calls", "requests", "is_settled", "unconverted",
        ]  # fmt: skip


class PriceCheckSerializer(serializers.ModelSerializer[PriceCheck]):
    """What a month's bill says about one price, per token, search or request."""

    our_price_usd = AmountField(allow_null=True)
    billed_price_usd = AmountField(allow_null=True)
    amount_usd = AmountField()
    quantity = AmountField()

    class Meta:
        model = PriceCheck
        fields = [
            "provider", "model", "service_tier", "token_class", "month", "first_day", "last_day", "days", "state",
            "our_price_usd", "billed_price_usd", "quantity", "amount_usd",
        ]  # fmt: skip
