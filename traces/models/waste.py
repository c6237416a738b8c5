"""What was found wasted on a day of a project, and up to which version of the day was looked."""

from django.db import models

from costs.models import TenantModel, usd_field


class WasteKind(models.TextChoices):
    """In the order in which a call is claimed: its dollars count under the first kind that fits."""

    PAID_FAILURE = "paid_failure", "Paid failures"
    RETRY_STORM = "retry_storm", "Retry storms"
    DUPLICATE = "duplicate", "Duplicate prompts"
    UNUSED_OUTPUT = "unused_output", "Unused output"
    TRUNCATED = "truncated", "Truncated answers"
    MISSED_CACHE = "missed_cache", "Missed cache"
    OVERSIZED = "oversized", "Oversized context"


class WasteDay(TenantModel):
    """One day that was looked through. `version` is CostDay's; the day is looked through again when that has moved."""

    pk = models.CompositePrimaryKey("project", "day")
    day = models.DateField()
    version = models.BigIntegerField()
    calls = models.BigIntegerField()
    cost_usd = usd_field(max_digits=26)
    # Calls whose prompt could not be compared: not captured, or beyond MAX_CALLS.
    unread_calls = models.BigIntegerField(default=0)
    scanned_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.day} v{self.version}"


class WasteFinding(TenantModel):
    """One reason on one day. `fingerprint` is the same on every day it comes back; empty: the small rest of a kind."""

    pk = models.CompositePrimaryKey("project", "day", "kind", "fingerprint")
    day = models.DateField()
    kind = models.CharField(max_length=16, choices=WasteKind.choices)
    fingerprint = models.CharField(max_length=32, blank=True)
    provider = models.CharField(max_length=64, blank=True)
    model = models.CharField(max_length=200, blank=True)
    agent = models.CharField(max_length=200, blank=True)
    feature = models.CharField(max_length=200, blank=True)
    # What tells this finding from others of its kind: the error, the finish reason.
    detail = models.CharField(max_length=200, blank=True)
    calls = models.BigIntegerField()
    # What these calls cost, and how much of it bought nothing.
    cost_usd = usd_field(max_digits=26)
    wasted_usd = usd_field(max_digits=26)
    # The dearest calls behind: [trace_id, span_id, ISO time, wasted US dollars].
    samples = models.JSONField(default=list)

    class Meta:
        indexes = [models.Index(fields=["project", "kind", "fingerprint"], name="traces_waste_one")]

    def __str__(self) -> str:
        return f"{self.day} {self.kind} {self.fingerprint}"
