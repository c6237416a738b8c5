"""Sums per minute, of projects that have rules about windows shorter than the hours of the ledger's own sums."""

from django.db import models
from pgvector.django import VectorField

from costs.histogram import BUCKETS
from costs.models.ledger import TenantModel, usd_field


class MinuteDimension(models.TextChoices):
    """ALL rows hold every call once; USER and TAG rows only the values that rules name. ARRIVED rows hold calls by the
    minute they were stored in, not the one they happened in: how late they came."""

    ALL = "all"
    USER = "user"
    TAG = "tag"
    ARRIVED = "arrived"


class MinuteSum(TenantModel):
    """What CostAggregate keeps per hour, per minute. Written by costs.minutes from the records, never with them."""

    pk = models.CompositePrimaryKey(
        "project", "dimension", "minute", "value", "provider", "model", "environment", "agent"
    )
    dimension = models.CharField(max_length=8, choices=MinuteDimension.choices)
    minute = models.DateTimeField()
    value = models.CharField(max_length=200, blank=True)
    provider = models.CharField(max_length=64, blank=True)
    model = models.CharField(max_length=200, blank=True)
    environment = models.CharField(max_length=64, blank=True)
    agent = models.CharField(max_length=200, blank=True)
    calls = models.BigIntegerField()
    errors = models.BigIntegerField()
    unpriced_calls = models.BigIntegerField()
    input_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    cost_usd = usd_field(max_digits=26)
    latency_counts = VectorField(dimensions=BUCKETS, null=True)
    # Of ARRIVED: seconds from happening to being stored, of all its calls together.
    lag_seconds = models.FloatField(default=0)

    def __str__(self) -> str:
        return f"{self.minute} {self.dimension} {self.value}"


class MinuteRoll(models.Model):
    """Which minutes of a project can be read: from `since` to before `rolled_to`; of a user or tag that rules name,
    from the instant in `watched` (`{"user": {"ann": "2026-11-21T10:00:00+00:00"}}`)."""

    project = models.OneToOneField(
        "projects.Project", on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    since = models.DateTimeField()
    rolled_to = models.DateTimeField()
    watched = models.JSONField(default=dict)
    # Since when ARRIVED rows are kept; NULL: no rule asks for them.
    arrived_since = models.DateTimeField(null=True)
    # Minutes before it were right, but records changed since (new prices): to be read again.
    changed_to = models.DateTimeField(null=True)
    # Raised by whoever changes records meanwhile: what was read before it counts for nothing.
    generation = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.project_id} {self.since} to {self.rolled_to}"
