"""Budgets: how much some calls may cost in a period, and what limits held before.

A budget belongs to the organisation. What was spent is never stored with it: it is read from the ledger's sums
(costs.budgets.selectors), so that it cannot drift from the calls.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from accounts.models import Organization, User
from core.base_models import TimestampedModel, UUIDModel
from costs.models.ledger import usd_field
from projects.models import Project

MAX_THRESHOLDS = 10
MAX_ROLLING_DAYS = 366


class BudgetScope(models.TextChoices):
    """Which calls a budget counts. All but organisation and project may be of one project or of all."""

    ORGANIZATION = "organization", "Organisation"
    PROJECT = "project", "Project"
    TEAM = "team", "Team"
    USER = "user", "User"
    KEY = "key", "API key"
    MODEL = "model", "Model"
    TAG = "tag", "Tag"
    AGENT = "agent", "Agent"


class BudgetPeriod(models.TextChoices):
    DAILY = "daily", "Daily"
    WEEKLY = "weekly", "Weekly"
    MONTHLY = "monthly", "Monthly"
    ROLLING = "rolling", "Rolling days"


_WHOLE = Q(scope=BudgetScope.ORGANIZATION, value="", project=None)
_PROJECT = Q(scope=BudgetScope.PROJECT, value="", project__isnull=False)
_KEY = Q(scope=BudgetScope.KEY, project__isnull=False) & ~Q(value="")
_NAMED = Q(scope__in=["team", "user", "model", "tag", "agent"]) & ~Q(value="")


class Budget(UUIDModel, TimestampedModel):
    """`amount_usd` per period of its own days. Several may hold for one call; the strictest wins."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="budgets")
    name = models.CharField(max_length=120)
    scope = models.CharField(max_length=12, choices=BudgetScope.choices)
    # The team's name, the user's id, the key's id, the model, tag or agent as calls name them.
    value = models.CharField(max_length=200, blank=True)
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, null=True, blank=True, related_name="budgets"
    )
    period = models.CharField(max_length=8, choices=BudgetPeriod.choices)
    rolling_days = models.PositiveSmallIntegerField(null=True, blank=True)
    # Its days are days of this zone.
    time_zone = models.CharField(max_length=64, default="UTC")
    amount_usd = usd_field()
    # Percent of the amount at which people are told; 100, the limit itself, always counts and is not listed.
    thresholds = ArrayField(models.PositiveSmallIntegerField(), default=list, blank=True)
    # The gateway refuses what goes beyond a hard one; the others only tell.
    is_hard = models.BooleanField(default=False)
    # Days of its zone, both included.
    starts_on = models.DateField(null=True, blank=True)
    ends_on = models.DateField(null=True, blank=True)
    is_paused = models.BooleanField(default=False)
    note = models.TextField(blank=True)
    author = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta:
        indexes = [
            models.Index(fields=["project"], name="costs_budget_project"),
        ]
        constraints = [
            models.UniqueConstraint("organization", Lower("name"), name="costs_budget_name"),
            models.CheckConstraint(
                condition=_WHOLE | _PROJECT | _KEY | _NAMED, name="costs_budget_scope"
            ),
            models.CheckConstraint(
                # A check that is NULL passes, so NULL is ruled out by name.
                condition=Q(
                    period="rolling",
                    rolling_days__isnull=False,
                    rolling_days__range=(2, MAX_ROLLING_DAYS),
                )
                | (Q(period__in=["daily", "weekly", "monthly"]) & Q(rolling_days=None)),
                name="costs_budget_period",
            ),
            models.CheckConstraint(condition=Q(amount_usd__gt=0), name="costs_budget_amount"),
            models.CheckConstraint(
                condition=Q(thresholds__len=0) | Q(thresholds__len__lte=MAX_THRESHOLDS),
                name="costs_budget_thresholds",
            ),
            models.CheckConstraint(
                condition=Q(starts_on=None)
                | Q(ends_on=None)
                | Q(ends_on__gte=models.F("starts_on")),
                name="costs_budget_days",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class BudgetChange(UUIDModel):
    """What a budget said from an instant on, until the next row: past periods are judged by the limit that held."""

    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="changes")
    valid_from = models.DateTimeField()
    amount_usd = usd_field()
    thresholds = ArrayField(models.PositiveSmallIntegerField(), default=list, blank=True)
    is_hard = models.BooleanField(default=False)
    is_paused = models.BooleanField(default=False)
    author = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["budget", "valid_from"], name="costs_budgetchange_unique"
            ),
            models.CheckConstraint(condition=Q(amount_usd__gt=0), name="costs_budgetchange_amount"),
        ]

    def __str__(self) -> str:
        return f"{self.budget_id} from {self.valid_from}: {self.amount_usd}"
