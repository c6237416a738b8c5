"""What callers may use, what they have used, and what is set aside for calls under way."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from accounts.models import Organization, User
from core.base_models import TimestampedModel, UUIDModel
from projects.models import Project


class LimitScope(models.TextChoices):
    """Whose calls are counted together. With a `value` only that one's, without one each on its own."""

    ORGANIZATION = "organization", "Organisation"
    PROJECT = "project", "Project"
    KEY = "key", "API key"
    USER = "user", "User"
    TAG = "tag", "Tag"
    MODEL = "model", "Model"


class LimitMetric(models.TextChoices):
    REQUESTS = "requests", "Requests"
    TOKENS = "tokens", "Tokens"
    USD = "usd", "US dollars"
    CONCURRENCY = "concurrency", "Calls at once"


class LimitWindow(models.TextChoices):
    """Windows begin on the clock in UTC (a minute at :00, a week on Monday); calls at once have none."""

    NONE = "", "At once"
    MINUTE = "minute", "Minute"
    HOUR = "hour", "Hour"
    DAY = "day", "Day"
    WEEK = "week", "Week"
    MONTH = "month", "Month"


class Limit(UUIDModel, TimestampedModel):
    """`amount` of `metric` per window. A hard one refuses what goes beyond it, a soft one says so in a header."""

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="gateway_limits"
    )
    # Only calls of this project; empty: of every project of the organisation.
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    name = models.CharField(max_length=120)
    scope = models.CharField(max_length=12, choices=LimitScope.choices)
    value = models.CharField(max_length=200, blank=True)
    metric = models.CharField(max_length=11, choices=LimitMetric.choices)
    window = models.CharField(max_length=6, choices=LimitWindow.choices, blank=True)
    amount = models.DecimalField(max_digits=20, decimal_places=6)
    is_hard = models.BooleanField(default=True)
    is_paused = models.BooleanField(default=False)
    created_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint("organization", Lower("name"), name="gateway_limit_name"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="gateway_limit_amount"),
            models.CheckConstraint(
                condition=Q(metric="concurrency", window="")
                | (~Q(metric="concurrency") & ~Q(window="")),
                name="gateway_limit_window",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class LimitCounter(models.Model):
    """How far one subject is in one window of a limit, or what is set aside of a hard budget (gateway.quotas)."""

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    # `<limit id>:<subject>` or `budget:<budget id>`.
    key = models.CharField(max_length=280)
    window_start = models.DateTimeField()
    used = models.DecimalField(max_digits=28, decimal_places=12, default=0)
    reserved = models.DecimalField(max_digits=28, decimal_places=12, default=0)
    pk = models.CompositePrimaryKey("organization", "key", "window_start")

    def __str__(self) -> str:
        return self.key


class Reservation(models.Model):
    """The worst case of one call under way, set aside until it is settled or released."""

    pk = models.CompositePrimaryKey("project", "call_id")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, db_index=False, related_name="+")
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    call_id = models.UUIDField()
    # [[counter key, window start, amount, metric, model], …], amounts as decimal strings (gateway.quotas.lines).
    lines = models.JSONField()
    # The process that reserved (gateway.quotas.owners).
    owner = models.CharField(max_length=64, blank=True)
    made_at = models.DateTimeField()
    # Past this nobody can still be at it: the sweeper releases what its dead owner left.
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return str(self.call_id)
