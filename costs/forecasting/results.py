"""Stores what the numbers' process said: forecasts of the month, strange days."""

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from uuid import UUID

from costs.forecasting.series import DAY, DailySeries, Name, place_of
from costs.models import AnomalyState, SeriesKind, SpendAnomaly, SpendForecast
from costs.selectors.sums import ZERO

# Days that are looked at for anomalies (costs.forecasting.outliers.LOOK), today besides.
LOOK = 31
TOO_SHORT = (
    "Not enough history: {known} of the {needed} days it takes to learn the week and be tested."
)
# costs.forecasting.backtest.MIN_DAYS; that module must not be imported here.
NEEDED = 21
_FIELDS = (
    "label", "made_at", "from_day", "actual_usd", "expected_usd", "low_usd", "high_usd", "error_share",
    "naive_error_share", "tested", "covered", "method", "reason", "path",
)  # fmt: skip
# How far an amount must move before a day that was strange is looked at anew.
_MOVED = Decimal("0.1")


def month_end(today: dt.date) -> dt.date:
    """The first day of the next month."""
    return (today.replace(day=1) + 32 * DAY).replace(day=1)


def store_forecasts(
    organization_id: UUID,
    made: Iterable[tuple[DailySeries, dict[str, Any]]],
    *,
    today: dt.date,
    now: dt.datetime,
) -> int:
    """Write the month's forecast of each series; returns how many. One query."""
    rows = [_forecast(organization_id, series, said, today, now) for series, said in made]
    SpendForecast.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["organization", "month", "kind", "value", "project"],
        update_fields=_FIELDS,
    )
    return len(rows)


def _forecast(
    organization_id: UUID,
    series: DailySeries,
    said: dict[str, Any],
    today: dt.date,
    now: dt.datetime,
) -> SpendForecast:
    month = today.replace(day=1)
    done, running = series.total(month, today), series.by_day.get(today, ZERO)
    row = SpendForecast(
        organization_id=organization_id,
        project_id=series.name.project_id,
        kind=series.name.kind,
        value=series.name.value,
        label=series.name.label,
        month=month,
        made_at=now,
        from_day=today,
        actual_usd=done + running,
    )
    if (forecast := said["forecast"]) is None:
        known = (today - min(series.by_day, default=today)).days
        row.reason = TOO_SHORT.format(known=max(known, 0), needed=NEEDED)
        return row
    path = [[Decimal(amount) for amount in day] for day in forecast["path"]]
    # What today has cost already is no forecast any more.
    more = max(running - path[0][0], ZERO)
    expected = sum((day[0] for day in path), ZERO) + more
    row.expected_usd = done + expected
    row.low_usd = done + max(Decimal(forecast["low"]) + more, running)
    row.high_usd = done + max(Decimal(forecast["high"]) + more, running)
    row.error_share = Decimal(forecast["error_share"])
    row.naive_error_share = Decimal(forecast["naive_error_share"])
    row.tested, row.covered = forecast["tested"], forecast["covered"]
    row.method = forecast["method"].partition(":")[0]
    row.path = [
        {
            "day": (today + place * DAY).isoformat(),
            "usd": str(max(usd, running) if place == 0 else usd),
            "low": str(low),
            "high": str(max(high, running) if place == 0 else high),
        }
        for place, (usd, low, high) in enumerate(path)
    ]
    return row


class Anomalies:
    """The strange days of an organisation's last month, while its series are worked through."""

    def __init__(self, organization_id: UUID, *, today: dt.date, now: dt.datetime) -> None:
        """One query."""
        self.organization_id, self.today, self.now = organization_id, today, now
        self.first = today - LOOK * DAY
        kept = SpendAnomaly.objects.filter(organization_id=organization_id, day__gte=self.first)
        self.by_key = {(row.kind, row.value, row.project_id, row.day): row for row in kept}
        self.changed: dict[UUID, SpendAnomaly] = {}
        self.created: list[SpendAnomaly] = []

    def look_at(self, series: DailySeries, outliers: list[dict[str, Any]]) -> None:
        """New strange days of a series, and what became of the known ones."""
        found = {self.today - place * DAY: one for one in outliers for place in [one["place"]]}
        for (*name, day), row in list(self.by_key.items()):
            if tuple(name) == series.name.identity:
                self._look_again(row, series.by_day.get(day, ZERO), found.pop(day, None))
        ways = {self.today - one["place"] * DAY: Decimal(one["score"]) > 0 for one in outliers}
        for day, one in sorted(found.items()):
            is_rise = ways[day]
            # A new level is one event, however long the usual takes to follow it: its first day is its row.
            if ways.get(day - DAY) is is_rise:
                continue
            if not self._is_explained(series.name, day, is_rise=is_rise):
                self._create(series, day, one)

    def save(self) -> int:
        """Write what changed; returns how many are new. At most two queries."""
        SpendAnomaly.objects.bulk_create(self.created)
        fields = ["actual_usd", "excess_usd", "is_running", "state", "causes", "updated_at"]
        SpendAnomaly.objects.bulk_update(self.changed.values(), fields)
        return len(self.created)

    def _look_again(self, row: SpendAnomaly, actual: Decimal, again: dict[str, Any] | None) -> None:
        """A day stays strange unless its calls or their prices changed: a new normal does not excuse its first day."""
        is_running = row.day == self.today
        moved = abs(actual - row.actual_usd) > _MOVED * abs(row.excess_usd)
        if not moved and row.is_running == is_running:
            return
        if moved:
            row.actual_usd, row.excess_usd = actual, actual - row.expected_usd
            row.causes = []
        is_usual = row.low_usd <= actual <= row.high_usd
        if row.state == AnomalyState.OPEN and again is None and is_usual:
            row.state = AnomalyState.CLEARED
        elif row.state == AnomalyState.CLEARED and again is not None:
            row.state = AnomalyState.OPEN
        row.is_running, row.updated_at = is_running, self.now
        self.changed[row.pk] = row

    def _is_explained(self, name: Name, day: dt.date, *, is_rise: bool) -> bool:
        """Whether a project's total, or a project at all, is strange that day in the same direction: one event, one
        row; its causes name the model."""
        for row in self.by_key.values():
            if row.day != day or row.state == AnomalyState.CLEARED:
                continue
            if (row.excess_usd > 0) != is_rise:
                continue
            other = Name(row.kind, row.value, row.project_id)
            is_same_scope = other.project_id == name.project_id
            is_within = name.project_id is None and other.project_id is not None
            if is_within or (is_same_scope and place_of(other)[1] < place_of(name)[1]):
                return True
        return False

    def _create(self, series: DailySeries, day: dt.date, one: dict[str, Any]) -> None:
        actual, expected = series.by_day.get(day, ZERO), Decimal(one["expected"])
        row = SpendAnomaly(
            organization_id=self.organization_id,
            project_id=series.name.project_id,
            kind=SeriesKind(series.name.kind),
            value=series.name.value,
            day=day,
            is_running=day == self.today,
            actual_usd=actual,
            expected_usd=expected,
            low_usd=Decimal(one["low"]),
            high_usd=Decimal(one["high"]),
            excess_usd=actual - expected,
            score=Decimal(one["score"]),
            found_at=self.now,
        )
        self.by_key[row.kind, row.value, row.project_id, day] = row
        self.created.append(row)
