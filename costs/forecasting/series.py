"""The daily series of an organisation that are forecast: which, and their amounts, read in one query for all.

Days are those of UTC. Amounts are what priced calls cost: calls without a price are counted where a forecast is shown,
they are never taken for zero dollars.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from costs.budgets.selectors import daily_spends, open_budgets
from costs.models import Dimension, SeriesKind
from costs.selectors.source import fetch
from costs.selectors.sums import ZERO
from projects.models import Project

# As far back as the back-test looks (costs.forecasting.backtest.MAX_DAYS), and the month itself.
HISTORY = 182
DAY = dt.timedelta(days=1)
# The dearest of each project and of the organisation; what is left out is in the totals.
TOP_OF_PROJECT = 8
TOP_OF_ORGANIZATION = 20
MAX_SERIES = 240
MAX_BUDGETS = 60
_RECENT = 56

_SPENT = f"""
SELECT project_id, (hour AT TIME ZONE 'UTC')::date, provider, model, sum(cost_usd)
FROM costs_costdailyaggregate
WHERE project_id = ANY(%s) AND dimension = '{Dimension.ALL.value}' AND hour >= %s AND hour < %s
GROUP BY 1, 2, 3, 4"""  # noqa: S608 - a constant of our own

_VERSIONS = """
SELECT coalesce(sum(version), 0) FROM costs_costday WHERE project_id = ANY(%s) AND day >= %s AND day < %s"""


@dataclass(frozen=True)
class Name:
    """Which series: of a project, or of the organisation without one."""

    kind: str
    value: str = ""
    project_id: UUID | None = None
    label: str = ""

    @property
    def identity(self) -> tuple[str, str, UUID | None]:
        return self.kind, self.value, self.project_id


@dataclass(frozen=True)
class DailySeries:
    """Amounts by day; absent days cost nothing."""

    name: Name
    by_day: dict[dt.date, Decimal] = field(default_factory=dict)

    def days(self, first: dt.date, end: dt.date) -> list[Decimal]:
        """Every day from `first` to before `end`."""
        return [self.by_day.get(first + place * DAY, ZERO) for place in range((end - first).days)]

    def total(self, first: dt.date, end: dt.date) -> Decimal:
        return sum((cost for day, cost in self.by_day.items() if first <= day < end), ZERO)


def history_start(today: dt.date) -> dt.date:
    """The first day that is read: enough to learn from, and all of this month."""
    return min(today - HISTORY * DAY, today.replace(day=1))


def project_ids_of(organization_id: UUID) -> list[UUID]:
    """Projects whose spend counts, in a fixed order. One query."""
    shown = Project.objects.filter(organization_id=organization_id)
    return list(
        shown.exclude(status=Project.Status.DELETING).order_by("id").values_list("pk", flat=True)
    )


def versions_of(project_ids: list[UUID], first: dt.date, end: dt.date) -> int:
    """Rises whenever one of these days changes, in any of the projects. One query."""
    return int(fetch(_VERSIONS, [project_ids, first, end])[0][0])


def spend_series(project_ids: list[UUID], today: dt.date) -> list[DailySeries]:
    """The series of the ledger, totals of projects first, those of the organisation last; today is in them.

    One query. A project's or the organisation's dearest providers and models have one each.
    """
    first = dt.datetime.combine(history_start(today), dt.time(), dt.UTC)
    end = dt.datetime.combine(today + DAY, dt.time(), dt.UTC)
    found: dict[Name, dict[dt.date, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for project_id, day, provider, model, cost in fetch(_SPENT, [project_ids, first, end]):
        for scope in (project_id, None):
            for kind, value in (
                (SeriesKind.TOTAL, ""),
                (SeriesKind.MODEL, model),
                (SeriesKind.PROVIDER, provider),
            ):
                if value or kind == SeriesKind.TOTAL:
                    found[Name(kind.value, value, scope)][day] += cost
    every = [DailySeries(name, dict(days)) for name, days in found.items() if any(days.values())]
    # The providers and models of an only project are the organisation's: said once, with the project.
    if len({one.name.project_id for one in every if one.name.project_id}) == 1:
        every = [one for one in every if one.name.project_id or one.name.kind == SeriesKind.TOTAL]
    return _dearest(every, today)


_KINDS = {kind: place for place, kind in enumerate(("total", "model", "provider", "budget"))}


def _dearest(every: Iterable[DailySeries], today: dt.date) -> list[DailySeries]:
    """Totals, and the dearest of each scope and kind; the organisation's after all projects'."""
    groups: dict[tuple[UUID | None, str], list[tuple[Decimal, str, DailySeries]]] = defaultdict(
        list
    )
    for one in every:
        recent = one.total(today - _RECENT * DAY, today + DAY)
        groups[one.name.project_id, one.name.kind].append((recent, one.name.value, one))
    kept: list[tuple[Decimal, DailySeries]] = []
    for (scope, _), rows in groups.items():
        rows.sort(key=lambda row: (-row[0], row[1]))
        limit = TOP_OF_ORGANIZATION if scope is None else TOP_OF_PROJECT
        kept += [(recent, one) for recent, _, one in rows[:limit]]
    kept.sort(key=lambda row: (row[1].name.kind != SeriesKind.TOTAL, -row[0]))
    return sorted((one for _, one in kept[:MAX_SERIES]), key=lambda one: place_of(one.name))


def place_of(name: Name) -> tuple[bool, int, str, str]:
    """The order in which series are worked through: what explains others comes before them."""
    return name.project_id is None, _KINDS[name.kind], str(name.project_id), name.value


def budget_series(organization_id: UUID, today: dt.date) -> list[DailySeries]:
    """What the organisation's budgets count, of days of their own zones. One query, and those of `daily_spends`."""
    budgets = open_budgets(organization_id)[:MAX_BUDGETS]
    spent = daily_spends(budgets, history_start(today), today + DAY)
    return [
        DailySeries(Name(SeriesKind.BUDGET.value, str(one.pk), one.project_id, one.name), days)
        for one, days in zip(budgets, spent, strict=True)
    ]
