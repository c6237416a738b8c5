"""Failures of the same kind, grouped by fingerprint (owner: find)."""

from django.db import models

from accounts.models import User
from costs.models import TenantModel


class ErrorStatus(models.TextChoices):
    OPEN = "open", "Open"
    RESOLVED = "resolved", "Resolved"
    IGNORED = "ignored", "Ignored"


class ErrorGroup(TenantModel):
    """One kind of failure. Its figures are recomputed from ErrorTrace; its status is what people decided."""

    pk = models.CompositePrimaryKey("project", "fingerprint")
    # traces.errors.fingerprint: 20 hex digits.
    fingerprint = models.CharField(max_length=20)
    error_type = models.CharField(max_length=200, blank=True)
    # The latest message as it was sent, and what is the same in all of them.
    message = models.CharField(max_length=2000, blank=True)
    pattern = models.CharField(max_length=400, blank=True)
    # Where: the model or the step's name.
    place = models.CharField(max_length=200, blank=True)
    kind = models.CharField(max_length=12, blank=True)
    provider = models.CharField(max_length=64, blank=True)
    spans = models.BigIntegerField(default=0)
    traces = models.BigIntegerField(default=0)
    users = models.BigIntegerField(default=0)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    last_release = models.CharField(max_length=200, blank=True)
    status = models.CharField(max_length=10, choices=ErrorStatus.choices, default=ErrorStatus.OPEN)
    changed_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    changed_at = models.DateTimeField(null=True)
    # When it was resolved in which release; seen later or in another release it opens again.
    resolved_at = models.DateTimeField(null=True)
    resolved_release = models.CharField(max_length=200, blank=True)
    reopened_at = models.DateTimeField(null=True)
    computed_at = models.DateTimeField()
    # As traces.models.search.Activity.
    is_stale = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index(fields=["project", "-last_at", "-fingerprint"], name="traces_error_last"),
            models.Index(fields=["project", "-spans", "-fingerprint"], name="traces_error_count"),
        ]

    def __str__(self) -> str:
        return f"{self.error_type or 'error'} {self.fingerprint}"


class ErrorTrace(TenantModel):
    """That a failure happened in a trace, and how often."""

    pk = models.CompositePrimaryKey("project", "fingerprint", "trace_id")
    fingerprint = models.CharField(max_length=20)
    trace_id = models.CharField(max_length=128)
    spans = models.IntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    user_id = models.CharField(max_length=200, blank=True)
    environment = models.CharField(max_length=64, blank=True)
    release = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["project", "trace_id"], name="traces_errortrace_trace"),
            models.Index(
                fields=["project", "fingerprint", "-last_at"], name="traces_errortrace_last"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.fingerprint} in {self.trace_id}"
