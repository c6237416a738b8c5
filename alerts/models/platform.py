"""What LLMLab remembers of watching itself (alerts.platform), and the operators' view of incidents and channels."""

from typing import Any, ClassVar

from django.db import models

from alerts.models.channels import Channel
from alerts.models.events import AlertEvent
from alerts.models.rules import StateStatus


class WatchState(models.Model):
    """Where one check stands about one thing (`key`: a queue, a disk; empty for most): the fields of
    alerts.evaluate.State, as alerts.models.AlertState has them for rules."""

    kind = models.CharField(max_length=32)
    key = models.CharField(max_length=200, blank=True)
    status = models.CharField(max_length=8, choices=StateStatus.choices, default=StateStatus.OK)
    level = models.SmallIntegerField(default=-1)
    period = models.CharField(max_length=40, blank=True)
    value = models.DecimalField(max_digits=40, decimal_places=12, null=True)
    sample = models.BigIntegerField(default=0)
    since = models.DateTimeField(null=True)
    pending_since = models.DateTimeField(null=True)
    clear_since = models.DateTimeField(null=True)
    top = models.SmallIntegerField(default=-1)
    other_top = models.SmallIntegerField(null=True)
    told_at = models.DateTimeField(null=True)
    recovered_at = models.DateTimeField(null=True)
    is_quiet = models.BooleanField(default=False)
    basis = models.CharField(max_length=16, blank=True)
    episode = models.PositiveIntegerField(default=0)
    event = models.ForeignKey(AlertEvent, on_delete=models.SET_NULL, null=True, related_name="+")
    evaluated_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "key"], name="alerts_watchstate_unique")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key} {self.status}"


class WatchSample(models.Model):
    """The web processes' counters at an instant (core.request_figures), so that a later one tells what happened in
    between, whatever was restarted. Kept for a quarter of an hour."""

    at = models.DateTimeField(primary_key=True)
    totals = models.JSONField()

    def __str__(self) -> str:
        return f"{self.at}"


class OfOperators(models.Manager[Any]):
    """Rows of no organisation."""

    def get_queryset(self) -> models.QuerySet[Any]:
        return super().get_queryset().filter(organization=None)


class OperatorIncident(AlertEvent):
    """An incident of the installation itself."""

    objects: ClassVar[Any] = OfOperators()

    class Meta:
        proxy = True
        verbose_name = "incident of this installation"
        verbose_name_plural = "incidents of this installation"


class OperatorChannel(Channel):
    """Where the operators are told, beside the superusers' e-mail."""

    objects: ClassVar[Any] = OfOperators()

    class Meta:
        proxy = True
        verbose_name = "operators' channel"
        verbose_name_plural = "operators' channels"
