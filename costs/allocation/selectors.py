"""Reads of the allocation pages: teams with what they cost, rules in words, statements by team."""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from django.db.models import Q, QuerySet, Sum

from core.errors import DomainError, NotFoundError
from core.ranges import DAY
from costs.allocation.reading import projects_in
from costs.explorer.ask import Question, answer
from costs.models import AllocationRule, LineKind, RuleField, Statement, StatementLine, Team
from costs.selectors.sums import ZERO
from projects.models import ApiKey, Project

DAYS = 30


@dataclass(frozen=True)
class TeamRow:
    team: Team
    rules: int
    cost_usd: Decimal | None


@dataclass(frozen=True)
class Spread:
    """The last 30 days' recorded cost by team. `missing`: what no rule and no tag finds, by project."""

    rows: list[TeamRow]
    # Teams that only a tag `team:` names.
    by_tag: list[tuple[str, Decimal | None]]
    unassigned_usd: Decimal | None
    total_usd: Decimal | None
    missing: list[tuple[str, Decimal | None]] = field(default_factory=list)


@dataclass(frozen=True)
class RuleRow:
    rule: AllocationRule
    # What the value is called: a key's or project's name.
    words: str


@dataclass(frozen=True)
class TeamSum:
    """A team's column of a statement. `name` is empty for unassigned cost."""

    name: str
    cost_centre: str
    by_kind: dict[str, Decimal]

    @property
    def total_usd(self) -> Decimal:
        return sum(self.by_kind.values(), ZERO)

    @property
    def cells(self) -> list[Decimal | None]:
        """In the order of KINDS; None where there is nothing."""
        return [self.by_kind.get(kind) for kind in KINDS]


KINDS = (LineKind.DIRECT, LineKind.SHARED, LineKind.PASSED, LineKind.ADJUSTMENT)


def teams_in(organization_id: UUID, *, q: str = "", state: str = "") -> "QuerySet[Team]":
    """Teams by name. One query."""
    teams = Team.objects.filter(organization_id=organization_id)
    if state != "all":
        teams = teams.filter(archived_at__isnull=state != "archived")
    if q:
        teams = teams.filter(Q(name__icontains=q) | Q(cost_centre__icontains=q))
    return teams.order_by("name", "id")


def spread(organization_id: UUID, teams: Sequence[Team], *, now: dt.datetime) -> Spread:
    """What teams cost in the last 30 days, as recorded. Five queries and those of the explorer."""
    projects = projects_in(organization_id)
    end = now.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0) + dt.timedelta(hours=1)
    ids = tuple(project.pk for project in projects)
    counts: dict[UUID, int] = defaultdict(int)
    for team in AllocationRule.objects.filter(organization_id=organization_id).values_list(
        "team_id", flat=True
    ):
        counts[team] += 1
    if not ids:
        return Spread([TeamRow(team, counts[team.pk], ZERO) for team in teams], [], ZERO, ZERO)
    asked = Question(ids, end - DAYS * DAY, end, by=("team", "project"), measures=("cost_usd",))
    said = answer(asked)
    sums: dict[str, Decimal | None] = {}
    missing: list[tuple[str, Decimal | None]] = []
    names = {str(project.pk): project.name for project in projects}
    for row in said.groups:
        team_name, project_id = row.key or ("", "")
        cost = row["cost_usd"]
        amount = None if cost is None else Decimal(cost)
        sums[team_name] = _plus(sums.get(team_name, ZERO), amount)
        if not team_name:
            missing.append((names.get(project_id, ""), amount))
    own = {team.name for team in Team.objects.filter(organization_id=organization_id)}
    total = said.total["cost_usd"]
    return Spread(
        [TeamRow(team, counts[team.pk], sums.get(team.name, ZERO)) for team in teams],
        sorted((name, cost) for name, cost in sums.items() if name and name not in own),
        sums.get("", ZERO),
        None if total is None else Decimal(total),
        missing,
    )


def _plus(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    """Known amounts add up; unknown only stays when nothing is known."""
    if one is None or other is None:
        return one if other is None else other
    return one + other


def rule_rows(organization_id: UUID) -> list[RuleRow]:
    """The rules in their order, with names for ids. Three queries."""
    rules = list(
        AllocationRule.objects.filter(organization_id=organization_id)
        .select_related("team")
        .order_by("position")
    )
    names = {str(pk): name for pk, name in keys_in(organization_id)}
    names |= {str(one.pk): one.name for one in projects_in(organization_id)}
    return [
        RuleRow(
            rule,
            names.get(rule.value, "deleted")
            if rule.field in (RuleField.API_KEY, RuleField.PROJECT)
            else rule.value,
        )
        for rule in rules
    ]


def keys_in(organization_id: UUID) -> list[tuple[UUID, str]]:
    """(id, "project: name") of the organisation's API keys. One query."""
    projects = Project.objects.filter(organization_id=organization_id).values("pk")
    rows = (
        ApiKey.objects.filter(project__in=projects)
        .order_by("project__name", "name", "id")
        .values_list("pk", "project__name", "name", "prefix")
    )
    return [(pk, f"{project}: {name} ({prefix}…)") for pk, project, name, prefix in rows]


def statements_of(organization_id: UUID) -> list[Statement]:
    """Months, newest first. One query."""
    return list(Statement.objects.filter(organization_id=organization_id).order_by("-month"))


def read_month(text: str) -> dt.date:
    """`2026-11`. Raises DomainError."""
    try:
        return dt.datetime.strptime(text, "%Y-%m").replace(tzinfo=dt.UTC).date()
    except ValueError:
        raise DomainError(
            f"month is {text[:40]!r}; it must be a month as 2026-11.", fields=["month"]
        ) from None


def statement_of(organization_id: UUID, month: dt.date) -> Statement:
    """Raises NotFoundError. One query."""
    found = (
        Statement.objects.select_related("closed_by")
        .filter(organization_id=organization_id, month=month)
        .first()
    )
    if found is None:
        raise NotFoundError("There is no statement of this month.")
    return found


def team_sums(statement: Statement) -> list[TeamSum]:
    """Teams by what they pay, the dearest first, unassigned last. One query."""
    found: dict[tuple[str, str], dict[str, Decimal]] = {}
    rows = (
        statement.lines.values_list("team_name", "cost_centre", "kind")
        .annotate(usd=Sum("amount_usd"))
        .order_by()
    )
    for name, centre, kind, usd in rows:
        found.setdefault((name, centre), {})[kind] = usd
    sums = [TeamSum(*key, by_kind) for key, by_kind in found.items()]
    return sorted(sums, key=lambda one: (not one.name, -one.total_usd, one.name))


def lines_of(statement: Statement, *, team: str | None = None) -> "QuerySet[StatementLine]":
    """The lines, of one team (empty: unassigned) when asked, the largest first. One query."""
    lines = statement.lines.all()
    if team is not None:
        lines = lines.filter(team_name=team)
    return lines.order_by("team_name", "kind", "-amount_usd", "id")
