"""What there is to watch: the catalogue of known values behind the suggestions of the form."""

import datetime as dt
from uuid import UUID

from core.ranges import DAY, floor
from costs.budgets.spenders import known_values
from costs.models import Budget, CostDailyAggregate, Dimension
from projects.models import Project
from traces.models import ScoreDefinition

KNOWN = 25
_FROM_SUMS = {"model": "model", "agent": "agent", "user": "user_id", "tag": "tag"}


def suggestions(organization_id: UUID, now: dt.datetime) -> dict[str, list[str]]:
    """The dearest models, agents, users and tags of the last 30 days, their providers and environments, and the
    scores that are defined, by field of a rule. Six queries, all of daily sums and small tables."""
    known = known_values(organization_id, now)
    found = {field: known.get(kind, []) for kind, field in _FROM_SUMS.items()}
    projects = Project.objects.filter(organization_id=organization_id)
    ids = list(projects.values_list("pk", flat=True))
    end = floor(now, "day") + DAY
    days = CostDailyAggregate.objects.filter(
        project_id__in=ids, dimension=Dimension.ALL, hour__gte=end - 30 * DAY, hour__lt=end
    )
    rows = list(days.order_by().values_list("provider", "environment").distinct()[:500])
    for place, field in enumerate(("provider", "environment")):
        found[field] = sorted({row[place] for row in rows if row[place]})[:KNOWN]
    names = ScoreDefinition.objects.filter(project_id__in=ids, archived_at=None)
    found["score_name"] = sorted(set(names.values_list("name", flat=True)[:500]))[:KNOWN]
    return found


def budget_choices(organization_id: UUID) -> list[tuple[str, str]]:
    """Budgets by name, for a choice. One query; there are at most a thousand."""
    rows = Budget.objects.filter(organization_id=organization_id).order_by("name")
    return [(str(pk), name) for pk, name in rows.values_list("pk", "name")]
