"""Projects and the keys programs use to reach them."""

from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.models import Organization, Role, User
from core.base_models import TimestampedModel, UUIDModel


class ContentCapture(models.TextChoices):
    """What becomes of inputs and outputs, decided before they are stored."""

    OFF = "off", "Off: inputs and outputs are not stored"
    MASKED = "masked", "Masked: personal data is replaced, then stored searchable"
    PLAIN = "plain", "Plain: stored as sent, searchable"
    ENCRYPTED = "encrypted", "Encrypted: sealed with the organisation's key, not searchable"


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
    content_capture = models.CharField(
        max_length=10, choices=ContentCapture.choices, default=ContentCapture.ENCRYPTED
    )
    # {"builtin": ["email", …], "patterns": [{"name", "pattern", "replacement"}]}, applied in the mode `masked`, and in
    # the mode `encrypted` when any are chosen.
    masking = models.JSONField(default=dict, blank=True)
    # Empty: the installation's LLMLAB_RETENTION_DAYS, payloads as long as their traces, no limit of size.
    retention_days = models.PositiveIntegerField(null=True, blank=True)
    payload_retention_days = models.PositiveIntegerField(null=True, blank=True)
    retention_max_bytes = models.BigIntegerField(null=True, blank=True)

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


class ConnectionProvider(models.TextChoices):
    OPENAI = "openai", "OpenAI"
    ANTHROPIC = "anthropic", "Anthropic"
    AZURE = "azure", "Azure"
    GOOGLE = "google", "Google Cloud"


class ProviderConnection(UUIDModel, TimestampedModel):
    """An organisation's credentials at a provider, sealed with its data key. `settings` holds what is no secret
    (base address, scope, table …); which names there are, the provider's plugin says (costs.providers)."""

    class Status(models.TextChoices):
        UNVERIFIED = "unverified", "Not checked yet"
        VERIFIED = "verified", "Verified"
        ERROR = "error", "Error"
        PAUSED = "paused", "Paused"

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="provider_connections"
    )
    provider = models.CharField(max_length=20, choices=ConnectionProvider.choices)
    name = models.CharField(max_length=80)
    # core.crypto.seal of the credentials' JSON; the associated data is projects.connections.context(connection id).
    credentials = models.BinaryField(editable=False)
    # What people recognise it by: the first and last characters.
    hint = models.CharField(max_length=60, blank=True, editable=False)
    settings = models.JSONField(default=dict, blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.UNVERIFIED)
    # The provider's words, secrets taken out.
    status_message = models.TextField(blank=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"], name="projects_connection_name_unique"
            )
        ]

    def __str__(self) -> str:
        return self.name


class Preference(UUIDModel, TimestampedModel):
    """How one person has arranged one project's pages (panels, columns, density); nobody else sees it."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="preferences")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=60)
    value = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "project", "key"], name="projects_preference_unique"
            )
        ]

    def __str__(self) -> str:
        return self.key
