"""Where an organisation's exports go by themselves, when, and the links that lead to their files."""

import datetime as dt

from django.db import models

from accounts.models import Organization, User
from core.base_models import TimestampedModel, UUIDModel


class ExportDestination(UUIDModel, TimestampedModel):
    """A bucket of an S3-compatible storage. The secret is sealed with the organisation's data key."""

    class Status(models.TextChoices):
        UNVERIFIED = "unverified", "Not checked yet"
        VERIFIED = "verified", "Verified"
        ERROR = "error", "Error"

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="export_destinations"
    )
    name = models.CharField(max_length=80)
    # Empty: Amazon S3 of the region.
    endpoint_url = models.CharField(max_length=300, blank=True)
    bucket = models.CharField(max_length=63)
    prefix = models.CharField(max_length=200, blank=True)
    region = models.CharField(max_length=40, blank=True)
    access_key_id = models.CharField(max_length=200)
    # core.crypto.seal; the associated data is costs.exporting.destinations.context(destination id).
    secret = models.BinaryField(editable=False)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.UNVERIFIED)
    status_message = models.TextField(blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"], name="costs_exportdestination_name"
            )
        ]

    def __str__(self) -> str:
        return self.name


class ExportSchedule(UUIDModel, TimestampedModel):
    """An export that runs by the clock, and what it has sent."""

    class Frequency(models.TextChoices):
        HOURLY = "hourly", "Every hour"
        DAILY = "daily", "Every day"
        WEEKLY = "weekly", "Every week"
        MONTHLY = "monthly", "Every month"

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="export_schedules"
    )
    name = models.CharField(max_length=80)
    # costs.exporting.sources: records, daily, billed, focus.
    kind = models.CharField(max_length=20)
    format = models.CharField(max_length=10)
    # CSV for programs.
    is_machine = models.BooleanField(default=False)
    version = models.CharField(max_length=5, blank=True)
    frequency = models.CharField(max_length=10, choices=Frequency.choices, default=Frequency.DAILY)
    # At this hour of the zone; of this weekday (0 is Monday) or day of the month.
    hour = models.PositiveSmallIntegerField(default=3)
    weekday = models.PositiveSmallIntegerField(default=0)
    month_day = models.PositiveSmallIntegerField(default=1)
    time_zone = models.CharField(max_length=64, default="UTC")
    # Empty: files are kept here for download.
    destination = models.ForeignKey(
        ExportDestination,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="schedules",
    )
    first_day = models.DateField()
    # Only months or days that changed since they were sent; else all of them each time.
    is_incremental = models.BooleanField(default=True)
    is_paused = models.BooleanField(default=False)
    next_run_at = models.DateTimeField(null=True, blank=True, db_index=True)
    last_run_at = models.DateTimeField(null=True, blank=True)
    last_success_at = models.DateTimeField(null=True, blank=True)
    last_message = models.TextField(blank=True)
    failures_in_a_row = models.PositiveIntegerField(default=0)
    # Month or day → fingerprint of what it held when it was sent last.
    sent = models.JSONField(default=dict, editable=False)
    created_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"], name="costs_exportschedule_name"
            )
        ]

    def __str__(self) -> str:
        return self.name


class ExportLink(UUIDModel, TimestampedModel):
    """A link to one file that needs no account, until it ends. The address is signed; nothing of it is stored."""

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="export_links"
    )
    job_id = models.UUIDField(db_index=True)
    file_name = models.CharField(max_length=200)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    download_count = models.PositiveIntegerField(default=0)
    last_used_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    def __str__(self) -> str:
        return self.file_name

    def is_usable(self, now: dt.datetime) -> bool:
        """Not revoked and not over."""
        return self.revoked_at is None and self.expires_at > now
