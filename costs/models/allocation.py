"""Whose cost it is: teams and cost centres, the rules that find them, monthly statements that add up to the bill."""

from django.db import models
from django.db.models.functions import Lower

from accounts.models import Organization, User
from core.base_models import TimestampedModel, UUIDModel
from costs.models.billing import amount_field
from projects.models import Project


class SplitMethod(models.TextChoices):
    """How a shared pool's cost is passed on."""

    SHARE = "share", "By each team's own cost"
    FIXED = "fixed", "By fixed percentages"


class Team(UUIDModel, TimestampedModel):
    """Who pays. A shared pool is a team whose cost is passed on to the others."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="teams")
    name = models.CharField(max_length=80)
    # What the accounts call it; several teams may share one.
    cost_centre = models.CharField(max_length=80, blank=True)
    is_shared = models.BooleanField(default=False)
    method = models.CharField(max_length=6, choices=SplitMethod.choices, default=SplitMethod.SHARE)
    # FIXED: {team id: percent as a string}, together 100.
    percents = models.JSONField(default=dict, blank=True)
    # Its rules no longer hold; statements keep its name.
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("organization", Lower("name"), name="costs_team_name_unique")
        ]

    def __str__(self) -> str:
        return self.name


class RuleField(models.TextChoices):
    """What a rule looks at."""

    TAG = "tag", "Tag"
    API_KEY = "api_key", "API key"
    USER = "user", "User"
    PROJECT = "project", "Project"


class AllocationRule(UUIDModel, TimestampedModel):
    """Calls that fit belong to the team. Of several that fit, the one with the lowest position counts."""

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="allocation_rules"
    )
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="rules")
    position = models.PositiveIntegerField()
    field = models.CharField(max_length=8, choices=RuleField.choices)
    # A tag or a user, in which * stands for any characters; the id of a key or project.
    value = models.CharField(max_length=200)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "position"],
                name="costs_allocationrule_position",
                deferrable=models.Deferrable.DEFERRED,
            ),
            models.UniqueConstraint(
                fields=["organization", "field", "value"], name="costs_allocationrule_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.field} {self.value}"


class AllocationBook(models.Model):
    """One row per organisation with teams. `version` rises with every change of teams and rules."""

    organization = models.OneToOneField(
        Organization, on_delete=models.CASCADE, primary_key=True, related_name="allocation_book"
    )
    version = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.organization_id} v{self.version}"


class Statement(UUIDModel, TimestampedModel):
    """One month of an organisation. Open: computed again as calls and bills change. Closed: never changes."""

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="statements"
    )
    # Its first day.
    month = models.DateField()
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    computed_at = models.DateTimeField(null=True, blank=True)
    # What the lines were computed from; the same text: nothing changed since.
    basis = models.CharField(max_length=200, blank=True)
    # What the month costs: bills where they are read, records elsewhere; the lines add up to this and `adjusted_usd`.
    bill_usd = amount_field(default=0)
    # Corrections of closed months, booked in this one.
    adjusted_usd = amount_field(default=0)
    unpriced_calls = models.BigIntegerField(default=0)
    # Words about what the figures rest on: a provider without a bill, a currency without a rate.
    notes = models.JSONField(default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "month"], name="costs_statement_month_unique"
            )
        ]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"


class LineKind(models.TextChoices):
    DIRECT = "direct", "Own cost"
    SHARED = "shared", "Share of a pool"
    PASSED = "passed", "Passed on to teams"
    ADJUSTMENT = "adjustment", "Correction of a closed month"


class StatementLine(models.Model):
    """An amount of one team (none: unassigned) from one provider and project."""

    id = models.BigAutoField(primary_key=True)
    statement = models.ForeignKey(Statement, on_delete=models.CASCADE, related_name="lines")
    kind = models.CharField(max_length=10, choices=LineKind.choices)
    # Names as they were, so that a closed month reads the same for ever; `team_name` is empty for unassigned cost.
    team = models.ForeignKey(Team, on_delete=models.SET_NULL, null=True, related_name="+")
    team_name = models.CharField(max_length=80, blank=True)
    cost_centre = models.CharField(max_length=80, blank=True)
    provider = models.CharField(max_length=64, blank=True)
    project = models.ForeignKey(
        Project, on_delete=models.SET_NULL, null=True, db_constraint=False, related_name="+"
    )
    project_name = models.CharField(max_length=80, blank=True)
    # SHARED: the pool it comes from. ADJUSTMENT: the month that is corrected.
    pool_name = models.CharField(max_length=80, blank=True)
    adjusts_month = models.DateField(null=True, blank=True)
    # From a bill, or from records where no bill is read.
    is_billed = models.BooleanField(default=False)
    amount_usd = amount_field()

    class Meta:
        indexes = [models.Index(fields=["statement", "team_name"], name="costs_line_team")]

    def __str__(self) -> str:
        return f"{self.team_name or 'Unassigned'} {self.amount_usd}"
