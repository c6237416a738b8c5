"""What projects keep at providers: files, and batches of calls. Whose they are is known here and nowhere else: several
projects may share a provider's account."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from costs.models import TenantModel, usd_field


class Wire(models.TextChoices):
    """Whose words the objects are in."""

    OPENAI = "openai", "OpenAI"
    ANTHROPIC = "anthropic", "Anthropic"


class ProviderFile(TenantModel):
    """A file at a provider, uploaded by a project or made there for it."""

    pk = models.CompositePrimaryKey("project", "id")
    id = models.UUIDField()
    wire = models.CharField(max_length=9, choices=Wire.choices)
    provider_id = models.CharField(max_length=200)
    connection_id = models.UUIDField()
    # Which of the connection's keys it belongs to: a key of another account does not see it.
    connection_key_id = models.UUIDField(null=True)
    api_key_id = models.UUIDField(null=True)
    purpose = models.CharField(max_length=60, blank=True)
    # As the provider described it last; empty until somebody asked.
    document = models.JSONField(default=dict)
    # Of a file of requests: what they may use at most (gateway.batches.reading.Content).
    content = models.JSONField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "wire", "provider_id"], name="gateway_file_provider"
            )
        ]
        indexes = [
            models.Index(fields=["project", "wire", "-created_at"], name="gateway_file_recent")
        ]

    def __str__(self) -> str:
        return self.provider_id


class BatchState(models.TextChoices):
    """Where a batch stands with us; `status` has the provider's own word."""

    MAKING = "making", "Being created"
    OPEN = "open", "Under way"
    CANCELLING = "cancelling", "Being cancelled"
    ENDED = "ended", "Ended, results to be recorded"
    RECORDED = "recorded", "Recorded"
    LOST = "lost", "Lost sight of"


class Batch(TenantModel):
    """Calls that a provider makes within a day, at its price for batches. Each of its results becomes a recorded call
    with an id that follows from the batch's and its own, so that it is recorded once."""

    pk = models.CompositePrimaryKey("project", "id")
    # Also what its reservation is called.
    id = models.UUIDField()
    wire = models.CharField(max_length=9, choices=Wire.choices)
    # Empty until the provider has taken it.
    provider_id = models.CharField(max_length=200, blank=True)
    connection_id = models.UUIDField()
    connection_key_id = models.UUIDField(null=True)
    api_key_id = models.UUIDField(null=True)
    state = models.CharField(max_length=10, choices=BatchState.choices, default=BatchState.MAKING)
    status = models.CharField(max_length=40, blank=True)
    dialect = models.CharField(max_length=24)
    provider = models.CharField(max_length=60)  # as prices name it
    model_names = ArrayField(models.CharField(max_length=200), default=list)
    # Who asked, as gateway.structs.Caller.
    caller = models.JSONField(default=dict)
    has_reservation = models.BooleanField(default=False)
    # What was set aside for it in dollars; empty where nobody asked for a price.
    most_usd = usd_field(null=True)
    total = models.PositiveIntegerField(default=0)
    succeeded = models.PositiveIntegerField(null=True)
    failed = models.PositiveIntegerField(null=True)
    # Of what is recorded.
    input_tokens = models.BigIntegerField(null=True)
    output_tokens = models.BigIntegerField(null=True)
    cost_usd = usd_field(null=True)
    # As the provider described it last.
    document = models.JSONField(default=dict)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    recorded_at = models.DateTimeField(null=True)
    # When a worker looks next; whoever looks moves it on first, so that nobody else does meanwhile.
    poll_at = models.DateTimeField(null=True)
    polls_failed = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "wire", "provider_id"],
                name="gateway_batch_provider",
                condition=~models.Q(provider_id=""),
            )
        ]
        indexes = [
            models.Index(fields=["project", "-created_at"], name="gateway_batch_recent"),
            models.Index(
                fields=["poll_at"],
                name="gateway_batch_due",
                condition=models.Q(poll_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.provider_id or str(self.id)
