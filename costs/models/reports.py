"""Questions of the cost explorer under a name, and when they are sent by e-mail to whom."""

import datetime as dt

from django.db import models
from django.db.models.functions import Lower

from accounts.models import Organization, User
from core.base_models import TimestampedModel, UUIDModel

MAX_QUERY = 8000


class CostReport(UUIDModel, TimestampedModel):
    """`query` is the explorer's query string. Its author sees it; shared, everybody in the organisation does."""

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="cost_reports"
    )
    author = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    name = models.CharField(max_length=120)
    query = models.TextField(blank=True, max_length=MAX_QUERY)
    is_shared = models.BooleanField(default=False)

    class Meta:
        indexes = [models.Index(fields=["organization", "-created_at"], name="costs_report_org")]
        constraints = [
            models.UniqueConstraint(
                "organization", "author", Lower("name"), name="costs_costreport_name"
            )
        ]

    def __str__(self) -> str:
        return self.name


class ReportSchedule(UUIDModel, TimestampedModel):
    """When a report is sent: at most one per report."""

    class Frequency(models.TextChoices):
        DAILY = "daily", "Every day"
        WEEKLY = "weekly", "Every week"
        MONTHLY = "monthly", "Every month"

    class Covers(models.TextChoices):
        BEFORE = "before", "The whole day, week or month before"
        REPORT = "report", "The report's own range"

    report = models.OneToOneField(CostReport, on_delete=models.CASCADE, related_name="schedule")
    frequency = models.CharField(max_length=8, choices=Frequency.choices, default=Frequency.WEEKLY)
    # At this hour of the zone; of this weekday (0 is Monday) or day of the month.
    hour = models.PositiveSmallIntegerField(default=8)
    weekday = models.PositiveSmallIntegerField(default=0)
    month_day = models.PositiveSmallIntegerField(default=1)
    time_zone = models.CharField(max_length=64, default="UTC")
    covers = models.CharField(max_length=8, choices=Covers.choices, default=Covers.BEFORE)
    is_active = models.BooleanField(default=True)
    next_run_at = models.DateTimeField(null=True, blank=True, db_index=True)
    last_sent_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True)
    created_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(hour__lte=23, weekday__lte=6, month_day__range=(1, 28)),
                name="costs_reportschedule_when",
            )
        ]

    def __str__(self) -> str:
        return f"{self.report_id} {self.frequency}"


class ReportRecipient(UUIDModel):
    """Who is sent a report. Whoever unsubscribed stays listed, so that nobody adds them again."""

    schedule = models.ForeignKey(
        ReportSchedule, on_delete=models.CASCADE, related_name="recipients"
    )
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    unsubscribed_at = models.DateTimeField(null=True, blank=True)
    # Of the last slot that was sent.
    last_slot_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["schedule", "user"], name="costs_reportrecipient_once")
        ]

    def __str__(self) -> str:
        return f"{self.schedule_id} to {self.user_id}"

    def has_slot(self, slot: dt.datetime) -> bool:
        """Whether this slot, or a later one, was sent."""
        return self.last_slot_at is not None and self.last_slot_at >= slot
