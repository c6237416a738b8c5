"""The billed ledger: what providers charged, as their billing APIs say, and how it was fetched.

It belongs to the organisation, because a provider's account does. Amounts are kept as billed, every digit; `amount_usd`
is the same in US dollars by the rate of its day (CurrencyRate), NULL while there is none.
"""

from typing import Any

from django.db import models

from accounts.models import Organization
from core.base_models import TimestampedModel, UUIDModel
from projects.models import Project, ProviderConnection


def amount_field(**options: Any) -> "models.DecimalField[Any, Any]":
    """An amount as a provider states it: some give sixteen decimals."""
    return models.DecimalField(max_digits=38, decimal_places=18, **options)


class SyncSchedule(models.TextChoices):
    HOURLY = "hourly", "Every hour"
    DAILY = "daily", "Every day"
    MANUAL = "manual", "Only by hand"


class ChargeCategory(models.TextChoices):
    """FOCUS 1.2, column ChargeCategory."""

    USAGE = "usage", "Usage"
    PURCHASE = "purchase", "Purchase"
    CREDIT = "credit", "Credit"
    TAX = "tax", "Tax"
    ADJUSTMENT = "adjustment", "Adjustment"


class TokenClass(models.TextChoices):
    """What a line charges for, in the words of a record's breakdown (costs.pricing). Reasoning is part of output."""

    NONE = "", "Not said"
    INPUT = "input", "Input"
    CACHE_READ = "cache_read", "Cache read"
    CACHE_WRITE = "cache_write", "Cache write"
    CACHE_WRITE_5M = "cache_write_5m", "Cache write, 5 minutes"
    CACHE_WRITE_1H = "cache_write_1h", "Cache write, 1 hour"
    INPUT_AUDIO = "input_audio", "Audio input"
    INPUT_IMAGE = "input_image", "Image input"
    OUTPUT = "output", "Output"
    OUTPUT_AUDIO = "output_audio", "Audio output"
    OUTPUT_IMAGE = "output_image", "Image output"
    WEB_SEARCH = "web_search", "Web search"
    REQUEST = "request", "Request"
    OTHER = "other", "Other"


class BillingAccount(UUIDModel, TimestampedModel):
    """One provider account whose bill is read: when, how far, and how it stands."""

    connection = models.OneToOneField(
        ProviderConnection, on_delete=models.CASCADE, related_name="billing"
    )
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="billing_accounts"
    )
    schedule = models.CharField(
        max_length=10, choices=SyncSchedule.choices, default=SyncSchedule.HOURLY
    )
    # The first day of history wanted.
    history_from = models.DateField(null=True, blank=True)
    # Every bucket that starts before it has been read; from data_through on, the provider says, more will come.
    synced_through = models.DateTimeField(null=True, blank=True)
    data_through = models.DateTimeField(null=True, blank=True)
    next_sync_at = models.DateTimeField(null=True, blank=True, db_index=True)
    last_success_at = models.DateTimeField(null=True, blank=True)
    failures_in_a_row = models.PositiveIntegerField(default=0)
    # The provider's billing days are days of this zone.
    time_zone = models.CharField(max_length=64, default="UTC")
    currency = models.CharField(max_length=8, blank=True)

    def __str__(self) -> str:
        return str(self.connection)


class BillingMapping(UUIDModel):
    """Whose calls a provider's sub-account or key carries. Without `project` and marked outside: nobody's here."""

    account = models.ForeignKey(BillingAccount, on_delete=models.CASCADE, related_name="mappings")
    sub_account_id = models.CharField(max_length=300, blank=True)
    provider_key_id = models.CharField(max_length=200, blank=True)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, null=True, blank=True)
    is_outside = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "sub_account_id", "provider_key_id"],
                name="costs_billingmapping_unique",
            )
        ]

    def __str__(self) -> str:
        return f"{self.sub_account_id}/{self.provider_key_id}"


class ProviderSync(UUIDModel, TimestampedModel):
    """One run of reading a bill: which days, what came of it. The job beside it advances it (core.jobs)."""

    class Kind(models.TextChoices):
        SCHEDULED = "scheduled", "Scheduled"
        MANUAL = "manual", "Sync now"
        BACKFILL = "backfill", "History"

    class State(models.TextChoices):
        QUEUED = "queued", "Waiting"
        RUNNING = "running", "Running"
        WAITING = "waiting", "Waiting to try again"
        DONE = "done", "Done"
        FAILED = "failed", "Given up"
        CANCELLED = "cancelled", "Cancelled"

    account = models.ForeignKey(BillingAccount, on_delete=models.CASCADE, related_name="syncs")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    job_id = models.UUIDField(null=True)
    # Billing days, the last one excluded.
    first_day = models.DateField()
    end_day = models.DateField()
    next_day = models.DateField()
    requests = models.PositiveIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)
    rows_added = models.PositiveIntegerField(default=0)
    rows_changed = models.PositiveIntegerField(default=0)
    rows_removed = models.PositiveIntegerField(default=0)
    # The provider's words, secrets taken out.
    error = models.TextField(blank=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["account", "-created_at"], name="costs_sync_recent")]
        constraints = [
            # One at a time per account, held by the database.
            models.UniqueConstraint(
                fields=["account"],
                condition=models.Q(state__in=["queued", "running", "waiting"]),
                name="costs_sync_one_open",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.first_day}–{self.end_day}"


class BilledModel(models.Model):
    """What cost lines and usage lines say alike. `natural_key` names a line within its account and day: a later reading
    of the day replaces what it had."""

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    account = models.ForeignKey(
        BillingAccount, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    # The billing day in the provider's zone, and the bucket's bounds (an hour or the day).
    day = models.DateField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    natural_key = models.CharField(max_length=40)
    # Which of the provider's reports said so: costs, cost_report, analytics, query, export, usage …
    source = models.CharField(max_length=20)
    # As records name it: openai, anthropic, azure, google.
    provider = models.CharField(max_length=64)
    # OpenAI project, Anthropic workspace, Azure resource, Google Cloud project.
    sub_account_id = models.CharField(max_length=300, blank=True)
    sub_account_name = models.CharField(max_length=300, blank=True)
    provider_key_id = models.CharField(max_length=200, blank=True)
    provider_key_name = models.CharField(max_length=200, blank=True)
    # As records name it, lower case; empty: the provider does not say.
    model = models.CharField(max_length=200, blank=True)
    service_tier = models.CharField(max_length=32, blank=True)
    token_class = models.CharField(max_length=20, choices=TokenClass.choices, blank=True)
    context_window = models.CharField(max_length=32, blank=True)
    region = models.CharField(max_length=64, blank=True)
    quantity = models.DecimalField(max_digits=38, decimal_places=9, null=True)
    unit = models.CharField(max_length=32, blank=True)
    requests = models.BigIntegerField(null=True)
    revision = models.PositiveIntegerField(default=1)
    fetched_at = models.DateTimeField()

    class Meta:
        abstract = True


class BilledCost(BilledModel):
    """One line of a provider's bill: money."""

    category = models.CharField(
        max_length=12, choices=ChargeCategory.choices, default=ChargeCategory.USAGE
    )
    # The provider's own words: line item, meter, SKU, description.
    description = models.CharField(max_length=500, blank=True)
    sku_id = models.CharField(max_length=200, blank=True)
    amount = amount_field()
    list_amount = amount_field(null=True)
    currency = models.CharField(max_length=8)
    amount_usd = amount_field(null=True)
    # The provider gave the money without this split; we divided it by usage (largest remainder, sums kept).
    is_allocated = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "day", "natural_key"], name="costs_billedcost_key"
            )
        ]
        indexes = [models.Index(fields=["organization", "day"], name="costs_billedcost_day")]

    def __str__(self) -> str:
        return f"{self.day} {self.amount} {self.currency}"


class BilledUsage(BilledModel):
    """One line of a provider's usage report: quantities without money."""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "day", "natural_key"], name="costs_billedusage_key"
            )
        ]
        indexes = [models.Index(fields=["organization", "day"], name="costs_billedusage_day")]

    def __str__(self) -> str:
        return f"{self.day} {self.quantity} {self.unit}"


class BilledRevision(models.Model):
    """A line that a later reading changed, added to a day read before, or took away: the trail of corrections."""

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+")
    account = models.ForeignKey(BillingAccount, on_delete=models.CASCADE, related_name="revisions")
    sync = models.ForeignKey(ProviderSync, on_delete=models.SET_NULL, null=True, related_name="+")
    day = models.DateField()
    is_usage = models.BooleanField(default=False)
    natural_key = models.CharField(max_length=40)
    # What the line is about, in words: model, class, description.
    subject = models.CharField(max_length=500)
    # NULL before: the line is new. NULL after: it is gone.
    before = amount_field(null=True)
    after = amount_field(null=True)
    unit = models.CharField(max_length=32)
    seen_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["account", "-id"], name="costs_billedrevision_recent")]

    def __str__(self) -> str:
        return f"{self.day} {self.subject}"


class CurrencyRate(models.Model):
    """What one unit of a currency is worth in US dollars from a day on, until the next row. Operators keep it."""

    currency = models.CharField(max_length=8)
    valid_from = models.DateField()
    usd_per_unit = models.DecimalField(max_digits=20, decimal_places=10)
    note = models.CharField(max_length=200, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["currency", "valid_from"], name="costs_currencyrate_unique"
            ),
            models.CheckConstraint(
                condition=models.Q(usd_per_unit__gt=0), name="costs_currencyrate_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.currency} {self.valid_from}: {self.usd_per_unit}"
