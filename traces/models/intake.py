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


class LangfuseItem(TenantModel):
    """What Langfuse's events said of one trace or observation so far: facts, never what was said in it.

    Its events are partial and come in any order; the newest statement of each field wins, whichever arrives last. Kept
    for two days after the last event (traces.langfuse.state).
    """

    pk = models.CompositePrimaryKey("project", "kind", "item_id")
    kind = models.CharField(max_length=1)  # t: trace, o: observation
    item_id = models.CharField(max_length=128)
    # Empty while no event of the observation has named its trace.
    trace_id = models.CharField(max_length=128, blank=True)
    # field → [milliseconds and rank of the event, value or the hash of what is kept with the step]
    facts = models.JSONField(default=dict)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    is_running = models.BooleanField(default=False)
    updated_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["project", "trace_id"], name="traces_langfuse_trace"),
            models.Index(fields=["project", "updated_at"], name="traces_langfuse_updated"),
        ]

    def __str__(self) -> str:
        return self.item_id


class IngestSample(TenantModel):
    """How one of the last spans was understood (traces.ingest.samples): the newest hundred of each project."""

    pk = models.CompositePrimaryKey("project", "sampled_at", "position")
    sampled_at = models.DateTimeField()
    position = models.SmallIntegerField()
    door = models.CharField(max_length=20)
    dialect = models.CharField(max_length=30, blank=True)
    scope = models.CharField(max_length=200, blank=True)
    version = models.CharField(max_length=64, blank=True)
    has_ignored = models.BooleanField(default=False)
    # Raw and understood, packed like a step's payload and under the same rules of the project.
    data = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.sampled_at} {self.door} {self.dialect}"
