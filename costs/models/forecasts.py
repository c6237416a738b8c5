"""Where spend will stand at the end of the month, and the days that left what was to be expected.

Both are worked out from the recorded ledger (costs.forecasting) and can be made again at any time; only what
people said about an anomaly (state, note) is their own.
"""

from django.db import models

from accounts.models import Organization, User
from core.base_models import TimestampedModel, UUIDModel
from costs.models.ledger import usd_field
from projects.models import Project


class SeriesKind(models.TextChoices):
    """What a series of daily spend is of. Without a project it is of the whole organisation."""

    TOTAL = "total", "Total"
    PROVIDER = "provider", "Provider"
    MODEL = "model", "Model"
    BUDGET = "budget", "Budget"


class SeriesModel(UUIDModel):
    """One series: the total, a provider, a model or a budget (`value` says which) of an organisation or a project."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+")
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    kind = models.CharField(max_length=10, choices=SeriesKind.choices)
    # The provider, the model, or the budget's id; empty for a total.
    value = models.CharField(max_length=200, blank=True)
    # What people read instead of `value`: a budget's name.
    label = models.CharField(max_length=200, blank=True)

    class Meta:
        abstract = True


class SpendForecast(SeriesModel):
    """One series' month: what is spent, what is expected, and how wrong such forecasts were (the back-test).

    `expected_usd` is NULL with a `reason` where the history does not allow one. One row per series and month; the
    month's last one stays, to be held against what came.
    """

    # The first day of the month.
    month = models.DateField()
    made_at = models.DateTimeField()
    # Days before this one are actual, those from it on are forecast.
    from_day = models.DateField()
    actual_usd = usd_field(max_digits=26)
    expected_usd = usd_field(max_digits=26, null=True)
    low_usd = usd_field(max_digits=26, null=True)
    high_usd = usd_field(max_digits=26, null=True)
    # Back-test: the mean error of the sum of the days to come, as a share of it. 0.08 is ±8 %.
    error_share = models.DecimalField(max_digits=12, decimal_places=6, null=True)
    # The same of "every day like the same day last week", to compare.
    naive_error_share = models.DecimalField(max_digits=12, decimal_places=6, null=True)
    # How many past days were forecast from, and in how many of them the interval held the truth.
    tested = models.PositiveIntegerField(default=0)
    covered = models.PositiveIntegerField(default=0)
    # Which of the candidates won the back-test (costs.forecasting.candidates).
    method = models.CharField(max_length=40, blank=True)
    # Why there is none: a sentence.
    reason = models.CharField(max_length=200, blank=True)
    # [{"day", "usd", "low", "high"}] from `from_day` to the month's end, amounts as decimal strings.
    path = models.JSONField(default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "month", "kind", "value", "project"],
                nulls_distinct=False,
                name="costs_spendforecast_series",
            )
        ]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m} {self.kind} {self.value}"


class AnomalyState(models.TextChoices):
    OPEN = "open", "Open"
    EXPECTED = "expected", "Expected"
    # Late calls or new prices took it away.
    CLEARED = "cleared", "Cleared"


class SpendAnomaly(SeriesModel, TimestampedModel):
    """One day of a series far outside of what was to be expected, and what moved it."""

    day = models.DateField()
    # Whether the day had not ended when this was last looked at.
    is_running = models.BooleanField(default=False)
    actual_usd = usd_field(max_digits=26)
    expected_usd = usd_field(max_digits=26)
    low_usd = usd_field(max_digits=26)
    high_usd = usd_field(max_digits=26)
    # actual - expected: below zero for a drop.
    excess_usd = usd_field(max_digits=26)
    # Distance from the expected in robust standard deviations.
    score = models.DecimalField(max_digits=10, decimal_places=2)
    state = models.CharField(max_length=10, choices=AnomalyState.choices, default=AnomalyState.OPEN)
    note = models.CharField(max_length=500, blank=True)
    marked_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    marked_at = models.DateTimeField(null=True, blank=True)
    found_at = models.DateTimeField()
    # What moved the total (costs.forecasting.causes), dollars as decimal strings; they add up to `excess_usd`.
    causes = models.JSONField(default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "day", "kind", "value", "project"],
                nulls_distinct=False,
                name="costs_spendanomaly_series",
            )
        ]
        indexes = [
            models.Index(fields=["organization", "-day", "-id"], name="costs_anomaly_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.kind} {self.value}: {self.excess_usd}"


class ForecastRun(models.Model):
    """When an organisation's forecasts were last made and from which state of the ledger: the hourly task's memory."""

    organization = models.OneToOneField(
        Organization, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    # The first forecast day of that run, and the sum of CostDay.version over the days it read, without and with it.
    day = models.DateField()
    versions = models.BigIntegerField()
    versions_with_today = models.BigIntegerField(default=0)
    made_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.organization_id} {self.day}"
