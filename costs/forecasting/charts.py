"""Forecasts and anomalies as charts: days that are known, days that are expected, and what was usual."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from core import formats
from core.charts import Band, Series
from costs.forecasting.results import month_end
from costs.forecasting.series import DAY, DailySeries
from costs.forecasting.words import off_by
from costs.frames import Chart, axis_label, longer
from costs.models import SpendAnomaly, SpendForecast
from costs.selectors.sums import ZERO

BAND = "Forecast, 80 % interval"


def band_of(row: SpendForecast, days: Sequence[dt.date | None]) -> Band | None:
    """The expected days of a forecast among `days`; None without one."""
    if row.expected_usd is None:
        return None
    coming = {one["day"]: one for one in row.path}
    found = [coming.get(day.isoformat(), {}) if day else {} for day in days]
    values, low, high = (
        [Decimal(one[name]) if one else None for one in found] for name in ("usd", "low", "high")
    )
    return Band(BAND, values, low, high)


def with_outlook(chart: Chart, row: SpendForecast, url: str) -> Chart:
    """A dashboard's chart of this month's days, with the days to come."""
    frame = longer(chart.frame, dt.datetime.combine(month_end(row.month), dt.time(), dt.UTC))
    known, more = len(chart.frame.bins), len(frame.bins) - len(chart.frame.bins)
    days: list[Any] = [None] * known + [at.date() for at in frame.bins[known:]]
    total = formats.money(row.expected_usd)
    said = (
        f"{total} expected by {row.month:%b} {(month_end(row.month) - DAY).day}"
        f" ({formats.money(row.low_usd)} – {formats.money(row.high_usd)} at 80 %),"
        f" {off_by(row.error_share)} in back-test"
    )
    padded = [replace(one, values=[*one.values, *([ZERO] * more)]) for one in chart.series]
    return replace(
        chart,
        frame=frame,
        series=padded,
        band=band_of(row, days) if more else None,
        known=known,
        summary=f"{chart.summary} {said}.",
        outlook=said,
        outlook_url=url,
    )


def month_chart(row: SpendForecast, series: DailySeries, label: str) -> dict[str, Any]:
    """The month's days: bars of what was spent, then what is expected."""
    end = month_end(row.month)
    days = [row.month + place * DAY for place in range((end - row.month).days)]
    today = row.from_day
    spent = [series.by_day.get(day, Decimal(0)) if day < today else Decimal(0) for day in days]
    band, spending = band_of(row, days), Series("Spent", spent, "c1")
    total = formats.money(row.expected_usd)
    said = f", {total} expected by the month's end" if row.expected_usd is not None else ""
    return {
        "labels": _labels(days),
        "titles": [f"{day:%a, %b} {day.day}" for day in days],
        "series": [spending],
        "band": band,
        "legend": [spending, *([band] if band else [])],
        "summary": f"{label}, {row.month:%B %Y}: {formats.money(row.actual_usd)} spent so far{said}.",
    }


def anomaly_chart(row: SpendAnomaly, series: DailySeries, label: str) -> dict[str, Any]:
    """The weeks around the day; its usual range stands on its own column."""
    days = [row.day + place * DAY for place in range(-28, 8)]
    known = [place for place, day in enumerate(days) if day in series.by_day]
    days = days[min([*known, 28]) : max([*known, 28]) + 1]
    values = [series.by_day.get(day, Decimal(0)) for day in days]
    others = [
        Decimal(0) if day == row.day else value for day, value in zip(days, values, strict=True)
    ]
    strange = [
        value if day == row.day else Decimal(0) for day, value in zip(days, values, strict=True)
    ]
    usual, low, high = (
        [end if day == row.day else None for day in days]
        for end in (row.expected_usd, row.low_usd, row.high_usd)
    )
    band = Band("Expected, usual range", usual, low, high)
    bars = [Series("Spent", others, "c1"), Series("This day", strange, "c2")]
    return {
        "labels": _labels(days),
        "titles": [f"{day:%a, %b} {day.day}" for day in days],
        "series": bars,
        "band": band,
        "legend": [*bars, band],
        "summary": f"{label}, four weeks before {row.day:%b} {row.day.day}: {formats.money(row.actual_usd)}"
        f" that day, {formats.money(row.expected_usd)} expected.",
    }


def _labels(days: Sequence[dt.date]) -> list[str]:
    return [
        axis_label(dt.datetime.combine(day, dt.time(), dt.UTC), "day", first=place == 0)
        for place, day in enumerate(days)
    ]
