"""What is kept of forecasts and anomalies."""

import datetime as dt
from uuid import UUID

from django.db.models import Q

from costs.models import SeriesKind, SpendForecast


def forecast_for(
    organization_id: UUID,
    *,
    month: dt.date,
    kind: str = SeriesKind.TOTAL,
    value: str = "",
    project_id: UUID | None = None,
) -> SpendForecast | None:
    """The forecast of one series for the month of a day, or None when none was made. One query.

    `expected_usd` is None where the history did not allow one; `reason` says why.
    """
    found = SpendForecast.objects.filter(
        organization_id=organization_id, month=month.replace(day=1), kind=kind, value=value
    )
    of_project = Q(project=None) if project_id is None else Q(project_id=project_id)
    return found.filter(of_project).first()
