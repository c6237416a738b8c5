"""A project's usage version and last activity; this month's spend of many projects at once."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from core.ranges import TimeRange
from costs.models import CostDailyAggregate, Dimension, ProjectUsage
from costs.selectors.sums import SUM_EXPRESSIONS, Sums, sums_from


@dataclass(frozen=True)
class UsageMark:
    """Version 0: nothing was ever recorded."""

    version: int = 0
    last_activity_at: dt.datetime | None = None


@dataclass(frozen=True)
class ProjectSpend:
    """One line of the project list."""

    project_id: UUID
    sums: Sums
    last_activity_at: dt.datetime | None


def usage_mark(project_id: UUID) -> UsageMark:
    """Where the project's ledger stands now. One query, always PostgreSQL: it is what makes cached answers exact."""
    row = (
        ProjectUsage.objects.filter(project_id=project_id)
        .values_list("version", "last_activity_at")
        .first()
    )
    return UsageMark(*row) if row else UsageMark()


def project_spends(project_ids: Sequence[UUID], period: TimeRange) -> list[ProjectSpend]:
    """Spend on the days of the range and last activity of each project, in the given order. Two queries, however many
    projects."""
    rows = (
        CostDailyAggregate.objects.filter(
            project_id__in=project_ids,
            dimension=Dimension.ALL,
            hour__gte=period.start,
            hour__lt=period.end,
        )
        .values("project_id")
        .annotate(**SUM_EXPRESSIONS)
    )
    sums = {row["project_id"]: sums_from(row) for row in rows}
    activity = dict(
        ProjectUsage.objects.filter(project_id__in=project_ids).values_list(
            "project_id", "last_activity_at"
        )
    )
    return [ProjectSpend(pid, sums.get(pid, Sums()), activity.get(pid)) for pid in project_ids]
