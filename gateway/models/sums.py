"""What stays of calls and circuits for figures and alerts: sums per minute and hour, and when circuits were open."""

from django.db import models
from pgvector.django import VectorField

from core.base_models import UUIDModel
from costs.histogram import BUCKETS
from costs.models import TenantModel, usd_field
from gateway.models.connections import Connection


class CallSum(TenantModel):
    """Calls by when they ended and the name they asked for, per minute and again per hour (`step`, in minutes). Kept
    with the rows of the request list, in their transaction (gateway.sums.adding); calls whose worker died are not in
    it.
    """

    pk = models.CompositePrimaryKey("project", "step", "at", "model")
    step = models.PositiveSmallIntegerField()
    at = models.DateTimeField()
    # A route's name or a model, as asked for; empty: a name that nobody serves.
    model = models.CharField(max_length=200, blank=True)
    calls = models.BigIntegerField()
    failed = models.BigIntegerField()
    # A provider was asked; and of these, another target after the first one.
    tried = models.BigIntegerField()
    fell_back = models.BigIntegerField()
    # Refused by a limit, a budget or a full line.
    limited = models.BigIntegerField()
    exact = models.BigIntegerField()
    semantic = models.BigIntegerField()
    # Looked for in the cache and not there.
    missed = models.BigIntegerField()
    exact_usd = usd_field(max_digits=26)
    semantic_usd = usd_field(max_digits=26)
    unpriced_hits = models.BigIntegerField()
    # Waiting times of the calls that waited in line (costs.histogram).
    waits = VectorField(dimensions=BUCKETS, null=True)

    def __str__(self) -> str:
        return f"{self.at} {self.step} {self.model}"


class CircuitOpening(UUIDModel):
    """One time a connection's circuit was open for a model, from its first failure to its next success. Redis knows
    what is open now; gateway.routing.openings brings it here."""

    connection = models.ForeignKey(
        Connection, on_delete=models.CASCADE, db_index=False, related_name="openings"
    )
    model = models.CharField(max_length=200, blank=True)
    # By the clock of Redis.
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    why = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "model", "opened_at"], name="gateway_opening_unique"
            )
        ]
        indexes = [
            models.Index(
                fields=["connection", "model"],
                name="gateway_opening_open",
                condition=models.Q(closed_at=None),
            ),
            models.Index(fields=["opened_at"], name="gateway_opening_age"),
        ]

    def __str__(self) -> str:
        return f"{self.connection_id} {self.model} {self.opened_at}"
