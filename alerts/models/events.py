"""Incidents: one from the first crossing to the recovery, with everything that was done about it."""

from django.db import models
from django.db.models import Q

from accounts.models import Organization, User
from alerts.models.rules import Alert, Severity
from core.base_models import TimestampedModel, UUIDModel
from projects.models import Project


class EventState(models.TextChoices):
    FIRING = "firing", "Firing"
    ACKNOWLEDGED = "acknowledged", "Acknowledged"
    SNOOZED = "snoozed", "Snoozed"
    RESOLVED = "resolved", "Resolved"


class AlertEvent(UUIDModel, TimestampedModel):
    """One incident. It keeps its words when the rule is deleted. Without an organisation: about the installation
    itself, for its operators.

    `dedup_key` is `llmlab:<kind>:<rule id>:<key>:<period or episode>`: what receivers fold repeated messages by.
    """

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, null=True, related_name="alert_events"
    )
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    alert = models.ForeignKey(Alert, on_delete=models.SET_NULL, null=True, related_name="events")
    # AlertKind, or the check's name for operators.
    kind = models.CharField(max_length=32)
    name = models.CharField(max_length=120)
    key = models.CharField(max_length=200, blank=True)
    subject = models.CharField(max_length=200, blank=True)
    period = models.CharField(max_length=40, blank=True)
    dedup_key = models.CharField(max_length=255, unique=True)
    severity = models.CharField(max_length=8, choices=Severity.choices)
    state = models.CharField(max_length=12, choices=EventState.choices, default=EventState.FIRING)
    title = models.CharField(max_length=200)
    # What happened, in a sentence or two with the figures.
    words = models.TextField()
    value = models.DecimalField(max_digits=40, decimal_places=12, null=True)
    limit = models.DecimalField(max_digits=40, decimal_places=12, null=True)
    unit = models.CharField(max_length=16, blank=True)
    # When the limit was first passed, and when that had lasted long enough.
    began_at = models.DateTimeField()
    fired_at = models.DateTimeField()
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    # Snoozed without it: until it resolves.
    snoozed_until = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    resolve_reason = models.CharField(max_length=200, blank=True)
    # From when on somebody was to acknowledge it: told first, woken, or more severe than before.
    waiting_since = models.DateTimeField(null=True)
    escalated_at = models.DateTimeField(null=True)
    # The last time somebody was told of it; NULL: nobody yet (muted, maintenance).
    told_at = models.DateTimeField(null=True)
    # alerts.measures.base.Evidence as JSON: chart, table, causes, links. Fixed when it fired.
    evidence = models.JSONField(default=dict)

    class Meta:
        indexes = [
            models.Index(fields=["organization", "-fired_at", "-id"], name="alerts_event_recent"),
            models.Index(fields=["alert", "-fired_at"], name="alerts_event_alert"),
            models.Index(
                fields=["organization"], name="alerts_event_open", condition=~Q(state="resolved")
            ),
            models.Index(fields=["project"], name="alerts_event_project"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_open(self) -> bool:
        return self.state != EventState.RESOLVED


class EntryKind(models.TextChoices):
    FIRED = "fired", "Fired"
    RAISED = "raised", "Severity raised"
    LOWERED = "lowered", "Severity lowered"
    ACKNOWLEDGED = "acknowledged", "Acknowledged"
    UNACKNOWLEDGED = "unacknowledged", "Acknowledgement taken back"
    SNOOZED = "snoozed", "Snoozed"
    WOKEN = "woken", "Snooze ended"
    ESCALATED = "escalated", "Escalated"
    REMINDED = "reminded", "Told again"
    MUTED = "muted", "Nobody was told"
    UNDELIVERED = "undelivered", "Not delivered"
    COMMENT = "comment", "Comment"
    RESOLVED = "resolved", "Resolved"


class EventEntry(models.Model):
    """One line of an incident's timeline."""

    event = models.ForeignKey(AlertEvent, on_delete=models.CASCADE, related_name="entries")
    at = models.DateTimeField()
    kind = models.CharField(max_length=14, choices=EntryKind.choices)
    actor = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    words = models.TextField(blank=True)

    class Meta:
        verbose_name_plural = "event entries"
        indexes = [models.Index(fields=["event", "at", "id"], name="alerts_entry_time")]

    def __str__(self) -> str:
        return f"{self.at} {self.kind}"
