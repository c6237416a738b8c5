"""Answers kept for the same question, or one that means the same."""

from django.db import models
from pgvector.django import HalfVectorField

from costs.models import TenantModel, usd_field
from projects.models import Project


class CachedResponse(TenantModel):
    """One answer. The exact key is the hash of all that shapes it; the scope is the same without the last user turn."""

    pk = models.CompositePrimaryKey("project", "id")
    id = models.UUIDField()
    key = models.CharField(max_length=64)
    scope = models.CharField(max_length=64)
    namespace = models.CharField(max_length=120, blank=True)
    route = models.CharField(max_length=120, blank=True)
    dialect = models.CharField(max_length=24)
    model = models.CharField(max_length=200)
    prompt_version = models.CharField(max_length=200, blank=True)
    # The whole answer in its dialect and the last user turn, sealed with the organisation's key.
    sealed = models.BinaryField()
    # What people see without opening it: finish reason, tokens, served model, provider.
    facts = models.JSONField(default=dict)
    cost_usd = usd_field(null=True)
    # Only for semantic caching; who made the vector, and its length.
    embedded_with = models.CharField(max_length=200, blank=True)
    vector = HalfVectorField(null=True)
    # Numbers and names of the question: a semantic hit must have the same.
    anchors = models.CharField(max_length=64, blank=True)
    hits = models.BigIntegerField(default=0)
    saved_usd = usd_field(default=0)
    last_hit_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "key"], name="gateway_cached_key")
        ]
        indexes = [
            models.Index(fields=["project", "scope"], name="gateway_cached_scope"),
            models.Index(fields=["project", "-created_at"], name="gateway_cached_recent"),
            models.Index(fields=["expires_at"], name="gateway_cached_expiry"),
        ]

    def __str__(self) -> str:
        return self.key


class ShadowCheck(TenantModel):
    """A semantic hit asked again for real: whether the kept answer said the same."""

    pk = models.CompositePrimaryKey("project", "id")
    id = models.UUIDField()
    route = models.CharField(max_length=120, blank=True)
    cached_id = models.UUIDField()
    similarity = models.FloatField()
    threshold = models.FloatField()
    is_right = models.BooleanField(null=True)  # nobody could say
    agreement = models.FloatField(null=True)
    # What the check itself cost.
    cost_usd = usd_field(null=True)
    checked_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["project", "-checked_at"], name="gateway_shadow_recent")]

    def __str__(self) -> str:
        return f"{self.cached_id} {self.is_right}"


class CacheThreshold(models.Model):
    """A route's threshold that tightened itself: its hits by meaning were wrong too often (gateway.cache.tightening).

    The stricter one of this and the rule's holds, until people lift it.
    """

    pk = models.CompositePrimaryKey("project", "route")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, db_index=False, related_name="+")
    # Empty: calls that no route names.
    route = models.CharField(max_length=120, blank=True)
    threshold = models.FloatField()
    # What made it tighten: so many checks, so many of them wrong, at this threshold.
    before = models.FloatField()
    checked = models.PositiveIntegerField()
    wrong = models.PositiveIntegerField()
    tightened_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.route or 'direct'} {self.threshold}"
