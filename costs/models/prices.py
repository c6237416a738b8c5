"""An organisation's own prices and contract discounts, with dates.

A rule never changes: correcting one removes it and writes its successor, so that "override #12" in a cost record
always means the same prices.
"""

from django.db import models

from accounts.models import Organization, User
from core.base_models import TimestampedModel, UUIDModel


class RuleKind(models.TextChoices):
    OVERRIDE = "override", "Own price"
    DISCOUNT = "discount", "Contract discount"


class Tier(models.TextChoices):
    """Which calls a rule is about, by the service tier the provider says it used."""

    ANY = "", "Every service tier"
    STANDARD = "standard", "Standard"
    BATCH = "batch", "Batch"
    FLEX = "flex", "Flex"
    PRIORITY = "priority", "Priority"
    FAST = "fast", "Fast"


class PriceRule(UUIDModel, TimestampedModel):
    """One override (prices per token class) or one discount (a factor on whatever price applies)."""

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="price_rules"
    )
    # Counted per organisation, never reused: what cost records and audit events call the rule.
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=10, choices=RuleKind.choices)
    # The catalogue's id, or what the calls say; empty: any provider.
    provider = models.CharField(max_length=64, blank=True)
    # A model's name, or a pattern in which * stands for any characters; lower case.
    pattern = models.CharField(max_length=200)
    service_tier = models.CharField(max_length=10, blank=True, choices=Tier.choices)
    # Overrides: [{"class", "price_usd", "per", "tiers": [{"above_input_tokens", "price_usd"}]}], numbers as strings.
    prices = models.JSONField(default=list)
    # Discounts: 0.85 is 15 % off.
    factor = models.DecimalField(max_digits=10, decimal_places=8, null=True)
    # UTC days, both included; empty: open.
    valid_from = models.DateField(null=True, blank=True)
    valid_to = models.DateField(null=True, blank=True)
    note = models.TextField(blank=True)
    author = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    replaces = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, related_name="+")
    removed_at = models.DateTimeField(null=True, blank=True)
    removed_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "number"], name="costs_pricerule_number"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} #{self.number}"


class PriceBook(models.Model):
    """One row per organisation that ever had a rule. `version` rises with every change of its rules."""

    organization = models.OneToOneField(
        Organization, on_delete=models.CASCADE, primary_key=True, related_name="price_book"
    )
    version = models.BigIntegerField(default=0)
    last_number = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.organization_id} v{self.version}"
