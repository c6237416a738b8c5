"""The outbox and long-running jobs: what must happen next is a row of the transaction that decided it."""

from django.db import models

from core.base_models import TimestampedModel, UUIDModel


class OutboxItem(UUIDModel):
    """One piece of follow-up work (reliability-cases §4.1). `key` is unique, so enqueueing twice is one row."""

    topic = models.CharField(max_length=100)
    key = models.CharField(max_length=300, unique=True)
    payload = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)
    available_at = models.DateTimeField()
    locked_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    done_at = models.DateTimeField(null=True, blank=True)
    dead_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["available_at"],
                name="core_outbox_open",
                condition=models.Q(done_at__isnull=True, dead_at__isnull=True),
            ),
            models.Index(fields=["done_at"], name="core_outbox_done"),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.key}"


class Job(UUIDModel, TimestampedModel):
    """A long job people watch: progress, cancel, result. Its steps run from the outbox."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"

    kind = models.CharField(max_length=60)
    title = models.CharField(max_length=200)
    # Plain values: core knows no domain table.
    organization_id = models.UUIDField(db_index=True)
    project_id = models.UUIDField(null=True, blank=True)
    created_by_id = models.UUIDField(null=True, blank=True)
    state = models.CharField(max_length=20, choices=State.choices, default=State.QUEUED)
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(default=0)
    message = models.TextField(blank=True)
    params = models.JSONField(default=dict)
    # Where the next step goes on; written with the step's effects.
    cursor = models.JSONField(default=dict)
    result = models.JSONField(default=dict)
    step = models.PositiveIntegerField(default=0)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["organization_id", "-created_at"], name="core_job_recent")]

    def __str__(self) -> str:
        return f"{self.kind} {self.state}"

    @property
    def is_open(self) -> bool:
        return self.state in (self.State.QUEUED, self.State.RUNNING)

    @property
    def percent(self) -> int:
        return min(100, round(self.done * 100 / self.total)) if self.total else 0
