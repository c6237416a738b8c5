"""Providers an organisation calls, and the keys it calls them with."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower

from accounts.models import Organization, User
from core.base_models import TimestampedModel, UUIDModel
from projects.models import Project


class ProviderKind(models.TextChoices):
    """Which wire a connection speaks. All but Anthropic speak OpenAI's."""

    OPENAI = "openai", "OpenAI"
    ANTHROPIC = "anthropic", "Anthropic"
    AZURE = "azure", "Azure OpenAI"
    GEMINI = "gemini", "Google Gemini"
    COMPATIBLE = "compatible", "OpenAI-compatible server"


class Connection(UUIDModel, TimestampedModel):
    """One provider account or server. Its credentials are its keys; `settings` holds what is no secret (Azure:
    `api_version`; OpenAI: `organization`, `project`; compatible: `provider`, as prices name it)."""

    class Check(models.TextChoices):
        NEVER = "never", "Not tested yet"
        OK = "ok", "Works"
        ERROR = "error", "Error"

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="gateway_connections"
    )
    # Only this project may call it; empty: all of the organisation.
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=12, choices=ProviderKind.choices)
    # Empty: the provider's own address (gateway.connections.providers).
    base_url = models.CharField(max_length=500, blank=True)
    settings = models.JSONField(default=dict, blank=True)
    # The models it serves, for calls that name a model and no route does; empty: those the provider is known for.
    # Azure: its deployments.
    model_names = ArrayField(models.CharField(max_length=200), default=list, blank=True)
    is_enabled = models.BooleanField(default=True)
    # Of a test under way or ended; another test begins another time.
    check_started_at = models.DateTimeField(null=True, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    check_state = models.CharField(max_length=5, choices=Check.choices, default=Check.NEVER)
    # The provider's words, secrets taken out.
    check_message = models.TextField(blank=True)
    check_model = models.CharField(max_length=200, blank=True)
    check_ms = models.PositiveIntegerField(null=True, blank=True)
    # What the provider listed when it was tested, to choose `model_names` from.
    offered_models = ArrayField(models.CharField(max_length=200), default=list, blank=True)
    created_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint("organization", Lower("name"), name="gateway_connection_name")
        ]

    def __str__(self) -> str:
        return self.name


class KeyState(models.TextChoices):
    ACTIVE = "active", "Active"
    RETIRING = "retiring", "Replaced, works until it retires"
    REVOKED = "revoked", "Revoked"


class ConnectionKey(UUIDModel, TimestampedModel):
    """A provider's key, sealed with the organisation's data key; of several active ones each takes its share."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="keys")
    # core.crypto.seal; the associated data is gateway.connections.secrets.context(key id). Empty: revoked or retired.
    sealed = models.BinaryField(editable=False)
    # What people recognise it by: the first and last characters.
    hint = models.CharField(max_length=60, editable=False)
    weight = models.PositiveSmallIntegerField(default=1)
    state = models.CharField(max_length=8, choices=KeyState.choices, default=KeyState.ACTIVE)
    retires_at = models.DateTimeField(null=True, blank=True)
    # What the last test with this key said; empty when it worked.
    last_error = models.TextField(blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(weight__gte=1, weight__lte=100), name="gateway_key_weight"
            )
        ]

    def __str__(self) -> str:
        return self.hint
