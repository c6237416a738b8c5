"""Rules, where each of them stands, and times in which nobody is told."""

from decimal import Decimal

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower

from accounts.models import Organization, User
from core.base_models import TimestampedModel, UUIDModel
from costs.models import Budget
from projects.models import Project

MAX_WINDOW_MINUTES = 7 * 24 * 60
MAX_LEVELS = 10


class Severity(models.TextChoices):
    """PagerDuty's words, least first."""

    INFO = "info", "Info"
    WARNING = "warning", "Warning"
    ERROR = "error", "Error"
    CRITICAL = "critical", "Critical"


SEVERITY_RANK: dict[str, int] = {value: rank for rank, value in enumerate(Severity.values)}


class AlertKind(models.TextChoices):
    """What a rule watches. alerts.measures has one module per domain that feeds them."""

    BUDGET = "budget", "Budget threshold"
    FORECAST = "forecast", "Forecast over budget"
    ANOMALY = "anomaly", "Spend anomaly"
    SPEND = "spend", "Spend"
    COST_PER_CALL = "cost_per_call", "Cost per call"
    ERROR_RATE = "error_rate", "Error rate"
    LATENCY = "latency", "Latency"
    CALL_RATE = "call_rate", "Call rate"
    TOKEN_RATE = "token_rate", "Token rate"
    UNPRICED = "unpriced", "Unpriced share"
    QUALITY = "quality", "Quality score"
    RECONCILIATION = "reconciliation", "Reconciliation gap"
    SYNC_FAILED = "sync_failed", "Provider sync failed"
    INGEST_LAG = "ingest_lag", "Ingest lag"
    NO_DATA = "no_data", "No data"
    FALLBACKS = "fallbacks", "Gateway fallbacks"
    CIRCUIT_OPEN = "circuit_open", "Circuit open"
    CACHE_WRONG = "cache_wrong", "Wrong cache hits"
    CALLS_LIMITED = "calls_limited", "Calls refused by limits"
    QUEUE_WAIT = "queue_wait", "Gateway queue wait"


class Direction(models.TextChoices):
    ABOVE = "above", "rises to"
    BELOW = "below", "falls to"


class CompareWith(models.TextChoices):
    VALUE = "value", "A value"
    BEFORE = "before", "The same window before"


class NoData(models.TextChoices):
    """What a window with fewer calls than the minimum does to a rule."""

    KEEP = "keep", "Leave it as it is"
    ALERT = "alert", "Tell us"
    RESOLVE = "resolve", "Take it as fine"


class Alert(UUIDModel, TimestampedModel):
    """A rule. Without a project it watches all projects of the organisation together.

    `levels` are the limits, least severe first: `[{"limit": "80", "severity": "warning"}]`, decimal strings in the
    measure's unit (percent, usd, ms, per minute …); each next one lies further in the rule's direction and is at least
    as severe. Compared with the window before, a limit is the change in percent.
    """

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="alerts")
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, null=True, blank=True, related_name="alerts"
    )
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=16, choices=AlertKind.choices)
    # Which calls count; empty: all. A rule names at most one of user and tag (the sums keep no pairs).
    environment = models.CharField(max_length=64, blank=True)
    provider = models.CharField(max_length=64, blank=True)
    model = models.CharField(max_length=200, blank=True)
    agent = models.CharField(max_length=200, blank=True)
    user_id = models.CharField(max_length=200, blank=True)
    tag = models.CharField(max_length=200, blank=True)
    # Of BUDGET and FORECAST; empty: every budget of the organisation (of the project).
    budget = models.ForeignKey(
        Budget, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    # Of QUALITY.
    score_name = models.CharField(max_length=100, blank=True)
    # Of LATENCY.
    percentile = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(99)]
    )
    direction = models.CharField(max_length=5, choices=Direction.choices, default=Direction.ABOVE)
    compare_with = models.CharField(
        max_length=6, choices=CompareWith.choices, default=CompareWith.VALUE
    )
    levels = models.JSONField(default=list)
    # Hysteresis: how far, as a share of the limit, the value must come back before the rule recovers.
    recover_margin = models.DecimalField(
        max_digits=5, decimal_places=4, default=Decimal("0.05"),
        validators=[MinValueValidator(Decimal(0)), MaxValueValidator(Decimal("0.9"))],
    )  # fmt: skip
    window_minutes = models.PositiveIntegerField(default=15)
    minimum_sample = models.PositiveIntegerField(default=0)
    # How long the limit must be passed before the rule fires, and kept before it recovers.
    pending_minutes = models.PositiveIntegerField(default=0)
    recover_minutes = models.PositiveIntegerField(default=0)
    on_no_data = models.CharField(max_length=8, choices=NoData.choices, default=NoData.KEEP)
    escalate_minutes = models.PositiveIntegerField(null=True, blank=True)
    # Told again while it fires and nobody has acknowledged it; a day at least.
    remind_hours = models.PositiveIntegerField(null=True, blank=True)
    is_enabled = models.BooleanField(default=True)
    muted_until = models.DateTimeField(null=True, blank=True)
    # What to do about it, shown in every message.
    note = models.TextField(blank=True)
    channels = models.ManyToManyField("alerts.Channel", through="AlertChannel")
    author = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        indexes = [
            models.Index(fields=["project"], name="alerts_alert_project"),
            models.Index(fields=["kind"], name="alerts_alert_kind", condition=Q(is_enabled=True)),
        ]
        constraints = [
            models.UniqueConstraint("organization", Lower("name"), name="alerts_alert_name"),
            models.CheckConstraint(
                condition=Q(user_id="") | Q(tag=""), name="alerts_alert_user_or_tag"
            ),
            models.CheckConstraint(
                condition=Q(window_minutes__range=(1, MAX_WINDOW_MINUTES)),
                name="alerts_alert_window",
            ),
            models.CheckConstraint(
                condition=Q(remind_hours=None) | Q(remind_hours__gte=24),
                name="alerts_alert_remind",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class AlertChannel(models.Model):
    """Where a rule is told; `is_escalation`: only when nobody acknowledged in time."""

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="alert_channels")
    channel = models.ForeignKey("alerts.Channel", on_delete=models.CASCADE, related_name="+")
    is_escalation = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["alert", "channel", "is_escalation"], name="alerts_alertchannel_unique"
            )
        ]

    def __str__(self) -> str:
        return f"{self.alert_id} {self.channel_id}"


class StateStatus(models.TextChoices):
    """Where a rule stands. `acknowledged` and `snoozed` are said of the event; the rule is firing then, too."""

    OK = "ok", "OK"
    PENDING = "pending", "Pending"
    FIRING = "firing", "Firing"
    NO_DATA = "no_data", "No data"


class AlertState(models.Model):
    """Where one rule stands about one thing (`key`: a budget's id, a provider; empty for most). alerts.evaluate reads
    and returns it; alerts.deciding keeps it, its row locked."""

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="states")
    key = models.CharField(max_length=200, blank=True)
    subject = models.CharField(max_length=200, blank=True)
    status = models.CharField(max_length=8, choices=StateStatus.choices, default=StateStatus.OK)
    # The place of the highest level that fired, -1 for none.
    level = models.SmallIntegerField(default=-1)
    # Of what is counted per period (budgets): which one. A new period begins with nothing reached.
    period = models.CharField(max_length=40, blank=True)
    value = models.DecimalField(max_digits=40, decimal_places=12, null=True)
    sample = models.BigIntegerField(default=0)
    since = models.DateTimeField(null=True)
    pending_since = models.DateTimeField(null=True)
    clear_since = models.DateTimeField(null=True)
    # The highest level told of in the last incident (-1: of missing data) and when, with what the one about the other
    # matter told shortly before it; and when the last was over. A quick return goes on with it, and `is_quiet` then
    # says that nobody was told.
    top = models.SmallIntegerField(default=-1)
    other_top = models.SmallIntegerField(null=True)
    told_at = models.DateTimeField(null=True)
    recovered_at = models.DateTimeField(null=True)
    is_quiet = models.BooleanField(default=False)
    # Of the limits and what they are a share of: another one means that somebody edited them.
    basis = models.CharField(max_length=16, blank=True)
    # How often it fired: part of each incident's key.
    episode = models.PositiveIntegerField(default=0)
    event = models.ForeignKey(
        "alerts.AlertEvent", on_delete=models.SET_NULL, null=True, related_name="+"
    )
    evaluated_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["alert", "key"], name="alerts_alertstate_unique")
        ]

    def __str__(self) -> str:
        return f"{self.alert_id} {self.key} {self.status}"


class Repeats(models.TextChoices):
    NEVER = "never", "Once"
    DAILY = "daily", "Every day"
    WEEKLY = "weekly", "Every week"


class Maintenance(UUIDModel, TimestampedModel):
    """A window in which rules are judged and recorded but nobody is told; what still fires at its end is told then."""

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="maintenances"
    )
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    name = models.CharField(max_length=120)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    repeats = models.CharField(max_length=6, choices=Repeats.choices, default=Repeats.NEVER)
    # Repeated windows keep their wall clock in this zone.
    time_zone = models.CharField(max_length=64, default="UTC")
    author = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        indexes = [models.Index(fields=["organization", "ends_at"], name="alerts_maintenance_time")]
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")), name="alerts_maintenance_order"
            )
        ]

    def __str__(self) -> str:
        return self.name


class BudgetWatch(models.Model):
    """Up to which state of an organisation's ledger its budget rules were judged: the sum of its projects' versions
    (costs.models.ProjectUsage)."""

    organization = models.OneToOneField(
        Organization, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    versions = models.BigIntegerField()
    checked_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.organization_id} {self.versions}"
