"""Public links to single traces (owner: feedback)."""

import datetime as dt

from django.db import models

from accounts.models import User
from core.base_models import TimestampedModel, UUIDModel
from projects.models import Project


class ShareLink(UUIDModel, TimestampedModel):
    """Whoever has the link may read one trace, without logging in. Only the token's SHA-256 is stored."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    trace_id = models.CharField(max_length=128)
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    # Whether inputs, outputs, attributes and media are shown.
    with_payloads = models.BooleanField(default=False)
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    view_count = models.PositiveBigIntegerField(default=0)
    last_viewed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["project", "-created_at"], name="traces_sharelink_recent"),
            models.Index(fields=["project", "trace_id"], name="traces_sharelink_trace"),
        ]

    def __str__(self) -> str:
        return f"{self.trace_id} {self.pk}"

    def is_usable(self, now: dt.datetime) -> bool:
        """Neither revoked nor expired at `now`."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)
