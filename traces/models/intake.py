"""What the doors were sent and what became of it (written by the ingest core, read by the health page)."""

from django.db import models

from costs.models import TenantModel


class Outcome(models.TextChoices):
    """sent = stored + updated + duplicate + rejected, always."""

    STORED = "stored", "Stored"
    UPDATED = "updated", "Completed a running step"
    DUPLICATE = "duplicate", "Seen before"
    REJECTED = "rejected", "Rejected"


class IngestTally(TenantModel):
    """Items per minute, door, dialect, outcome and reason; written with the batch it counts."""

    pk = models.CompositePrimaryKey("project", "minute", "door", "dialect", "outcome", "reason")
    minute = models.DateTimeField()
    # otlp, json, costs, langfuse …
    door = models.CharField(max_length=20)
    dialect = models.CharField(max_length=30, blank=True)
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    # Of rejected ones: the rule that refused them, one of a fixed set.
    reason = models.CharField(max_length=60, blank=True)
    items = models.BigIntegerField(default=0)
    batches = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.minute} {self.door} {self.outcome}"
