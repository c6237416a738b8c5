"""Projects and the keys programs use to reach them."""

from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.models import Organization, Role, User
from core.base_models import TimestampedModel, UUIDModel


class Project(UUIDModel, TimestampedModel):
    """One product or service whose calls belong together. Every growing table carries its id."""

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        ARCHIVED = "archived", "Archived"
        DELETING = "deleting", "Deleting"

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="projects"
    )
    name = models.CharField(max_length=80)
    slug = models.SlugField(max_length=80)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ACTIVE)
    first_trace_at = models.DateTimeField(null=True, blank=True)

    # Set by projects.access for the person or key that asked: their role, and what URLs carry
    # (slug, or UUID if ambiguous).
    role: Role
    ref: str

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "slug"], name="projects_project_slug_unique"
            )
        ]

    def __str__(self) -> str:
        return self.name


class ApiKey(UUIDModel, TimestampedModel):
    """A program's credential for one project. Only SHA-256 of the key is stored; the prefix is
    shown.
    """

    class Scope(models.TextChoices):
        INGEST = "ingest", "Ingest: send traces and costs"
        READ = "read", "Read: query traces and costs"
        GATEWAY = "gateway", "Gateway: call models"
        ADMIN = "admin", "Admin: manage the project and its keys"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=24, editable=False)
    key_hash = models.CharField(max_length=64, unique=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=10, choices=Scope.choices))
    created_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    rotated_to = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        indexes = [models.Index(fields=["project", "-created_at"], name="projects_apikey_recent")]

    def __str__(self) -> str:
        return f"{self.name} {self.prefix}"

    def is_usable(self, now: datetime) -> bool:
        """Not revoked and not expired at `now`."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)
