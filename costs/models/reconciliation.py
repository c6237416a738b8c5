"""What came of holding the recorded ledger against the billed one: small tables that pages read.

Everything here is worked out (costs.reconciliation) and can be worked out again; nothing is entered by people.
"""

from typing import Any

from django.db import models

from accounts.models import Organization
from costs.models.billing import TokenClass, amount_field
from costs.models.ledger import TenantModel


class GapKind(models.TextChoices):
    """Why a bill and the records differ. docs/reconciliation.md explains each."""

    OUTSIDE = "outside", "Calls outside LLMLab"
    LOST_USAGE = "lost_usage", "Lost usage"
    NOT_BILLED = "not_billed", "Recorded, not on the bill"
    PRICE = "price", "Wrong price"
    MISSING_PRICE = "missing_price", "Missing price"
    DISCOUNT = "discount", "Contract discount"
    TIER = "tier", "Service tier"
    SPLIT = "split", "Cache split lost"
    ROUNDING = "rounding", "Rounding"
    LATE = "late", "Late bill"
    TIME_ZONE = "time_zone", "Time zone"
    CURRENCY = "currency", "Currency"
    CREDITS = "credits", "Credits and adjustments"
    TAX = "tax", "Tax"
    FEE = "fee", "Charges no call carries"


class ReconciledFacts(TenantModel):
    """What one UTC day of a project recorded, by hour × provider × model × tier × token class, as of a version of the
    day (CostDay). Kept so that a new bill does not make anybody read a million records again."""

    pk = models.CompositePrimaryKey("project", "day")
    day = models.DateField()
    version = models.BigIntegerField()
    # costs.reconciliation.recorded packs and unpacks it.
    facts = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.day} v{self.version}"


class ReconciledModel(models.Model):
    """One UTC day of a provider, in dollars. billed − recorded = the causes + unexplained, to the last digit."""

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    # As records name it: openai, anthropic, azure, google.
    provider = models.CharField(max_length=64)
    day = models.DateField()
    billed_usd = amount_field(default=0)
    recorded_usd = amount_field(default=0)
    # What both ledgers hold: of every cell the smaller side, of days that are billed in full.
    matched_usd = amount_field(default=0)
    unexplained_usd = amount_field(default=0)
    # Amounts without a dollar value, for want of a rate: {"EUR": "12.5"}. They are in none of the sums.
    unconverted = models.JSONField(default=dict)
    # The provider has said all it will about the day.
    is_settled = models.BooleanField(default=True)

    class Meta:
        abstract = True


class ReconciledDay(ReconciledModel):
    """A day's sums, and what they were worked out from."""

    id = models.BigAutoField(primary_key=True)
    # What both ledgers looked like then (costs.reconciliation.marks); differs: the day is worked out again.
    recorded_mark = models.CharField(max_length=40)
    billed_mark = models.CharField(max_length=40)
    computed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "provider", "day"], name="costs_reconciledday_key"
            )
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.day}"


class ReconciledCell(ReconciledModel):
    """A day of a model."""

    id = models.BigAutoField(primary_key=True)
    # The catalogue's name of it, or what both sides call it; empty: charges about no model.
    model = models.CharField(max_length=200, blank=True)
    calls = models.BigIntegerField(default=0)
    # As the provider counts; NULL: it does not say.
    requests = models.BigIntegerField(null=True)
    # Both ledgers by sub-account, key, project, tier and token class (costs.reconciliation.facts.Line).
    lines = models.JSONField(default=list)
    # What the bill says about unit prices that day (costs.reconciliation.facts.PriceSeen).
    prices = models.JSONField(default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "provider", "day", "model"],
                name="costs_reconciledcell_key",
            )
        ]
        indexes = [models.Index(fields=["organization", "day"], name="costs_reconciledcell_day")]

    def __str__(self) -> str:
        return f"{self.provider} {self.day} {self.model}"


class ReconciledCause(models.Model):
    """One cause of a cell's gap, with its share in dollars and the figures that show it."""

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    cell = models.ForeignKey(ReconciledCell, on_delete=models.CASCADE, related_name="causes")
    provider = models.CharField(max_length=64)
    day = models.DateField()
    model = models.CharField(max_length=200, blank=True)
    kind = models.CharField(max_length=16, choices=GapKind.choices)
    # Positive: the bill is higher.
    amount_usd = amount_field()
    # [{"note", figures …}] (costs.reconciliation.words turns them into sentences).
    evidence = models.JSONField(default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["cell", "kind"], name="costs_reconciledcause_key")
        ]
        indexes = [models.Index(fields=["organization", "day"], name="costs_reconciledcause_day")]

    def __str__(self) -> str:
        return f"{self.day} {self.kind}"


class PriceCheck(models.Model):
    """What a month's bill says about one price of ours."""

    class State(models.TextChoices):
        VERIFIED = "verified", "Verified by bill"
        DIFFERS = "differs", "The bill has another price"
        UNCLEAR = "unclear", "The bill varies"

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    provider = models.CharField(max_length=64)
    model = models.CharField(max_length=200)
    service_tier = models.CharField(max_length=32, blank=True)
    token_class = models.CharField(max_length=20, choices=TokenClass.choices)
    # The month's first day, and the days of it that the bill speaks of.
    month = models.DateField()
    first_day = models.DateField()
    last_day = models.DateField()
    days = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State.choices)
    # Per token, search or request; NULL: we have no price.
    our_price_usd = amount_field(null=True)
    billed_price_usd = amount_field(null=True)
    quantity = models.DecimalField(max_digits=38, decimal_places=9)
    amount_usd = amount_field()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "organization",
                    "provider",
                    "model",
                    "service_tier",
                    "token_class",
                    "month",
                ],
                name="costs_pricecheck_key",
            )
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.model} {self.token_class} {self.month:%Y-%m}"


class ReconciliationRun(models.Model):
    """Where an organisation's reconciliation stands. `wanted` rises whenever a ledger changed; `seen` is what the last
    finished job had when it began."""

    organization = models.OneToOneField(
        Organization, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    wanted = models.BigIntegerField(default=0)
    seen = models.BigIntegerField(default=0)
    job_id = models.UUIDField(null=True)
    done_at = models.DateTimeField(null=True)
    # Where a provider's days turned out to begin elsewhere than its account says: {"openai": "America/Los_Angeles"}.
    zones: Any = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.organization_id} {self.seen}/{self.wanted}"
