"""The forecast a project's dashboard shows, where it fits: this month, every call, nothing left out."""

from uuid import UUID

from core.ranges import MONTH_TO_DATE
from costs.dashboard import DashboardState
from costs.models import AnomalyState, SeriesKind, SpendAnomaly, SpendForecast

MAX_SHOWN = 3


def outlook_of(project_id: UUID, state: DashboardState) -> SpendForecast | None:
    """The month's forecast of the project; None when the page is filtered or about other days, or without one.

    One query when it fits.
    """
    filters = state.filters
    if state.period.key != MONTH_TO_DATE or filters.rows or filters.extra:
        return None
    return SpendForecast.objects.filter(
        project_id=project_id,
        kind=SeriesKind.TOTAL,
        month=state.period.start.date().replace(day=1),
        expected_usd__isnull=False,
    ).first()


def strange_days(project_id: UUID, state: DashboardState) -> list[SpendAnomaly]:
    """The project's open anomalies of the page's days, the most dollars first; none on a filtered page. One query."""
    if state.filters.rows or state.filters.extra:
        return []
    rows = SpendAnomaly.objects.filter(
        project_id=project_id,
        state=AnomalyState.OPEN,
        day__gte=state.period.start.date(),
        day__lte=state.period.end.date(),
    ).select_related("project", "organization")
    return sorted(rows, key=lambda row: (-abs(row.excess_usd), row.day))[:MAX_SHOWN]
