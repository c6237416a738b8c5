"""What one person wants to hear of an organisation's alerts, and what they have read."""

from django.db import models

from accounts.models import Organization, User
from alerts.models.events import AlertEvent
from alerts.models.rules import Severity
from core.base_models import TimestampedModel, UUIDModel


class Digest(models.TextChoices):
    NONE = "none", "None"
    DAILY = "daily", "Every day"
    WEEKLY = "weekly", "Every week"


class NotificationPreference(UUIDModel, TimestampedModel):
    """One row per person and organisation; without one the defaults hold."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+")
    # What the bell counts, and what the browser shows.
    inbox_severity = models.CharField(max_length=8, choices=Severity.choices, default=Severity.INFO)
    has_browser = models.BooleanField(default=False)
    browser_severity = models.CharField(
        max_length=8, choices=Severity.choices, default=Severity.WARNING
    )
    digest = models.CharField(max_length=6, choices=Digest.choices, default=Digest.NONE)
    # In the person's zone; weekday 0 is Monday.
    digest_hour = models.PositiveSmallIntegerField(default=8)
    digest_weekday = models.PositiveSmallIntegerField(default=0)
    digest_next_at = models.DateTimeField(null=True)
    # Everything that fired before is read.
    read_before = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "organization"], name="alerts_preference_unique"
            )
        ]
        indexes = [models.Index(fields=["digest_next_at"], name="alerts_preference_digest")]

    def __str__(self) -> str:
        return f"{self.user_id} {self.organization_id}"


class EventRead(models.Model):
    """This person has seen this incident."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    event = models.ForeignKey(AlertEvent, on_delete=models.CASCADE, related_name="+")
    read_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "event"], name="alerts_eventread_unique")
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.event_id}"
