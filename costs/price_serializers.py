"""Shapes of price rules, previews and re-pricings in the API. What a rule may say is checked by costs.rule_drafts."""

from typing import Any

from rest_framework import serializers

from core.models import Job
from costs.models import PriceRule, RuleKind, Tier
from costs.serializers import AmountField

DRAFT_FIELDS = (
    "kind", "provider", "model", "service_tier", "prices", "percent_off", "valid_from", "valid_to", "note",
)  # fmt: skip
_NUMBERS = ("read", "changed", "priced", "lost")
_AMOUNTS = ("before_usd", "after_usd", "change_usd")


class RuleTierSerializer(serializers.Serializer[Any]):
    """A price for calls with more input tokens than this."""

    above_input_tokens = serializers.IntegerField()
    price_usd = serializers.CharField(help_text="Decimal string")


class RulePriceSerializer(serializers.Serializer[Any]):
    """The price of one token class."""

    token_class = serializers.CharField(
        help_text="input, cache_read, cache_write, cache_write_5m, cache_write_1h, output, reasoning, input_audio …"
    )
    price_usd = serializers.CharField(help_text="Decimal string")
    per = serializers.IntegerField(
        required=False, help_text="1,000,000 tokens; 1,000 searches or requests"
    )
    tiers = RuleTierSerializer(many=True, required=False)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return {
            "token_class": instance["class"],
            **{name: instance[name] for name in ("price_usd", "per", "tiers")},
        }


class PriceDraftSerializer(serializers.Serializer[Any]):
    """A rule to save: `prices` for an override, `percent_off` for a discount."""

    kind = serializers.ChoiceField(choices=RuleKind.choices)
    model = serializers.CharField(help_text="A name, or a pattern with *")
    provider = serializers.CharField(required=False, help_text="Empty: any provider")
    service_tier = serializers.ChoiceField(
        choices=Tier.choices, required=False, help_text="Empty: every service tier"
    )
    prices = RulePriceSerializer(many=True, required=False)
    percent_off = serializers.CharField(
        required=False, help_text="Decimal string; negative for a surcharge"
    )
    valid_from = serializers.DateField(required=False, help_text="First day (UTC); empty: always")
    valid_to = serializers.DateField(required=False, help_text="Last day (UTC), included")
    note = serializers.CharField(required=False)


class PriceRuleSerializer(serializers.ModelSerializer[PriceRule]):
    """A saved rule."""

    model = serializers.CharField(source="pattern")
    prices = RulePriceSerializer(many=True)
    factor = AmountField(allow_null=True, help_text="Of a discount: 0.85 is 15 % off")
    author = serializers.CharField(source="author.email", allow_null=True, default=None)
    is_removed = serializers.SerializerMethodField()

    class Meta:
        model = PriceRule
        fields = (
            "number", "kind", "provider", "model", "service_tier", "prices", "factor", "valid_from", "valid_to",
            "note", "author", "created_at", "removed_at", "is_removed",
        )  # fmt: skip

    def get_is_removed(self, rule: PriceRule) -> bool:
        return rule.removed_at is not None


class PriceRulePageSerializer(serializers.Serializer[Any]):
    """The answer of `GET …/prices`."""

    results = PriceRuleSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="Address of the next page")


class ChangeSerializer(serializers.Serializer[Any]):
    """What pricing again changes; amounts are of the calls that change and whose price is known."""

    read = serializers.IntegerField(help_text="Calls looked at")
    changed = serializers.IntegerField(help_text="Calls with another price")
    priced = serializers.IntegerField(help_text="Calls that had no price")
    lost = serializers.IntegerField(help_text="Calls that have none any more")
    before_usd = serializers.CharField()
    after_usd = serializers.CharField()
    change_usd = serializers.CharField()


class RepricingSerializer(serializers.ModelSerializer[Job]):
    """A re-pricing job; `…/jobs/<id>` of a project does not list it, it belongs to the organisation."""

    result = serializers.SerializerMethodField()

    class Meta:
        model = Job
        fields = ("id", "title", "state", "done", "total", "message", "result", "created_at")

    def get_result(self, job: Job) -> dict[str, Any] | None:
        """Null before the first step."""
        if "read" not in job.result:
            return None
        return {name: job.result[name] for name in (*_NUMBERS, *_AMOUNTS)}


class PreviewSerializer(RepricingSerializer):
    """A preview; `is_applied` says that its change was saved."""

    is_applied = serializers.SerializerMethodField()

    class Meta:
        model = Job
        fields = (*RepricingSerializer.Meta.fields, "is_applied")

    def get_is_applied(self, job: Job) -> bool:
        return "applied_job" in job.result


class PreviewRequestSerializer(serializers.Serializer[Any]):
    """A change to preview: a new `rule`; `rule` instead of `number`; `number` alone to remove it; nothing to price the
    past again as prices are today."""

    rule = PriceDraftSerializer(required=False)
    number = serializers.IntegerField(required=False)


class AppliedSerializer(serializers.Serializer[Any]):
    """A change that was saved: the rule (null when none is left of it) and the job that prices the past again."""

    rule = PriceRuleSerializer(allow_null=True)
    job = RepricingSerializer()
