"""Channels, and every message to one: written with the decision, sent by the notify worker (alerts.delivering)."""

from uuid import uuid4

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from accounts.models import Organization, User
from alerts.models.events import AlertEvent
from alerts.models.rules import Severity
from core.base_models import TimestampedModel, UUIDModel


class ChannelKind(models.TextChoices):
    EMAIL = "email", "E-mail"
    SLACK = "slack", "Slack"
    PAGERDUTY = "pagerduty", "PagerDuty"
    WEBHOOK = "webhook", "Webhook"
    TEAMS = "teams", "Microsoft Teams"
    DISCORD = "discord", "Discord"


class Channel(UUIDModel, TimestampedModel):
    """Where an organisation is told. Without one: where the operators of this installation are.

    `secret` is core.crypto.seal of JSON (alerts.channels.secrets), `settings` what is no secret; which names there
    are, the kind's plugin says (alerts.channels.registry).
    """

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, null=True, blank=True, related_name="channels"
    )
    kind = models.CharField(max_length=10, choices=ChannelKind.choices)
    name = models.CharField(max_length=80)
    secret = models.BinaryField(editable=False, default=bytes)
    # What people recognise it by: the last four characters.
    hint = models.CharField(max_length=60, blank=True, editable=False)
    settings = models.JSONField(default=dict, blank=True)
    # Less severe incidents are not told here.
    minimum_severity = models.CharField(
        max_length=8, choices=Severity.choices, default=Severity.INFO
    )
    is_enabled = models.BooleanField(default=True)
    # Set when it was switched off by itself (a permanent error) or by a person; the words say why.
    disabled_at = models.DateTimeField(null=True, blank=True)
    disabled_reason = models.CharField(max_length=500, blank=True)
    # Since when nothing gets through, how many tries in a row failed, and before when none is made (also the pause
    # between two messages).
    failing_since = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0)
    next_send_at = models.DateTimeField(null=True, blank=True)
    last_sent_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "organization", Lower("name"), name="alerts_channel_name", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return self.name


class DeliveryState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    SENDING = "sending", "Sending"
    SENT = "sent", "Sent"
    DEAD = "dead", "Given up"
    CANCELLED = "cancelled", "Cancelled"


class DeliveryAction(models.TextChoices):
    TRIGGER = "trigger", "Alert"
    RAISE = "raise", "Severity raised"
    REMIND = "remind", "Reminder"
    ESCALATE = "escalate", "Escalation"
    ACKNOWLEDGE = "acknowledge", "Acknowledgement"
    RESOLVE = "resolve", "Recovery"
    GROUP = "group", "Several alerts"
    TEST = "test", "Test"
    NOTICE = "notice", "Notice"
    DIGEST = "digest", "Digest"


class Delivery(models.Model):
    """One message to one channel, or by e-mail to one person (`recipient`). The outbox itself: `id` is the order.

    `payload` is the whole notice (alerts.notices.Notice) as JSON, so that a retry says exactly the same.
    """

    id = models.BigAutoField(primary_key=True)
    # What receivers see (webhook-id): the same on each try.
    message_id = models.UUIDField(default=uuid4, unique=True, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, null=True, related_name="+"
    )
    channel = models.ForeignKey(
        Channel, on_delete=models.CASCADE, null=True, related_name="deliveries"
    )
    recipient = models.EmailField(max_length=254, blank=True)
    event = models.ForeignKey(
        AlertEvent, on_delete=models.CASCADE, null=True, related_name="deliveries"
    )
    # The rules (or operators' checks) it is about: on one channel, messages that share one keep their order.
    lanes = ArrayField(models.CharField(max_length=64), default=list)
    action = models.CharField(max_length=12, choices=DeliveryAction.choices)
    dedup_key = models.CharField(max_length=255)
    # Written once however often the decision is taken: `<dedup_key>:<action>:<channel>:<n>`.
    unique_key = models.CharField(max_length=400, unique=True)
    payload = models.JSONField()
    state = models.CharField(
        max_length=10, choices=DeliveryState.choices, default=DeliveryState.WAITING
    )
    attempts = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    next_attempt_at = models.DateTimeField()
    locked_until = models.DateTimeField(null=True)
    first_failed_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    status_code = models.PositiveSmallIntegerField(null=True)
    duration_ms = models.PositiveIntegerField(null=True)
    # What the receiver said, secrets taken out, at most 1 KB.
    answer = models.TextField(blank=True)
    error = models.CharField(max_length=500, blank=True)
    # [{"at", "status", "ms", "error"}], the last twenty tries.
    tries = models.JSONField(default=list)

    class Meta:
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                name="alerts_delivery_due",
                condition=Q(state__in=["waiting", "sending"]),
            ),
            models.Index(
                fields=["channel", "id"],
                name="alerts_delivery_order",
                condition=Q(state__in=["waiting", "sending"]),
            ),
            models.Index(fields=["channel", "-id"], name="alerts_delivery_recent"),
            models.Index(fields=["event", "id"], name="alerts_delivery_event"),
            models.Index(
                fields=["organization", "-id"],
                name="alerts_delivery_dead",
                condition=Q(state="dead"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.message_id}"
