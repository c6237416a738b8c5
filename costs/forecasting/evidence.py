"""The calls behind a strange day, cell by cell, for costs.forecasting.causes."""

import datetime as dt
from collections import defaultdict
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from core.formats import plain_decimal
from costs.forecasting.causes import DIMENSIONS, Cause, Key, cells_of, explain
from costs.models import SeriesKind, SpendAnomaly
from costs.selectors.sums import ZERO

DAY = dt.timedelta(days=1)
# Users are told apart as far as they matter on the day; all others are one.
TOP_USERS = 200
OTHER_USERS = "\x00"

_NARROWED = {
    SeriesKind.MODEL: "AND model = %(value)s",
    SeriesKind.PROVIDER: "AND provider = %(value)s",
}
_CELLS = """
WITH spent AS (
  SELECT project_id, model, feature, user_id, prompt_version, cost_usd,
    (occurred_at AT TIME ZONE 'UTC')::date AS day
  FROM costs_costrecord
  WHERE project_id = ANY(%(projects)s) AND ({ranges}) {narrowed}
), top AS (
  SELECT user_id FROM spent GROUP BY user_id
  ORDER BY abs(coalesce(sum(cost_usd) FILTER (WHERE day = %(day)s), 0)
    - coalesce(sum(cost_usd) FILTER (WHERE day <> %(day)s), 0) / %(days)s) DESC, user_id LIMIT %(users)s
)
SELECT day = %(day)s, project_id, model, feature, CASE WHEN user_id IN (SELECT user_id FROM top) THEN user_id END,
  prompt_version, coalesce(sum(cost_usd), 0), count(*)
FROM spent GROUP BY 1, 2, 3, 4, 5, 6"""
_RANGE = "occurred_at >= %(from{0})s AND occurred_at < %(to{0})s"


def usual_days(day: dt.date) -> list[dt.date]:
    """What a day is compared with: the same weekday of the four weeks before."""
    return [day - weeks * 7 * DAY for weeks in range(1, 5)]


def causes_of(anomaly: SpendAnomaly, project_ids: list[UUID]) -> list[dict[str, Any]]:
    """What moved the day, as stored with it. One query; without records all of it is in one row."""
    day, usual = _cells(anomaly, project_ids, usual_days(anomaly.day))
    cells = cells_of(day, usual, expected=anomaly.expected_usd)
    return [_stored(cause) for cause in explain(cells, anomaly.excess_usd)]


def _cells(
    anomaly: SpendAnomaly, project_ids: list[UUID], usual: list[dt.date]
) -> tuple[dict[Key, tuple[Decimal, int]], dict[Key, tuple[Decimal, int]]]:
    days = [anomaly.day, *usual]
    params: dict[str, Any] = {
        "projects": [anomaly.project_id] if anomaly.project_id else project_ids,
        "day": anomaly.day,
        "days": len(usual),
        "users": TOP_USERS,
        "value": anomaly.value,
    }
    for place, one in enumerate(days):
        start = dt.datetime.combine(one, dt.time(), dt.UTC)
        params |= {f"from{place}": start, f"to{place}": start + DAY}
    sql = _CELLS.format(
        ranges=" OR ".join(f"({_RANGE.format(place)})" for place in range(len(days))),
        narrowed=_NARROWED.get(SeriesKind(anomaly.kind), ""),
    )
    found: tuple[dict[Key, tuple[Decimal, int]], ...] = (
        defaultdict(lambda: (ZERO, 0)),
        defaultdict(lambda: (ZERO, 0)),
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        rows = cursor.fetchall()
    for is_day, project_id, model, feature, user, version, cost, calls in rows:
        key = (str(project_id), model, feature, OTHER_USERS if user is None else user, version)
        found[0 if is_day else 1][key] = (cost, calls)
    return found[0], found[1]


def _stored(cause: Cause) -> dict[str, Any]:
    """A row of `SpendAnomaly.causes`; the rest has no `where`."""
    shown = {name: cause.where[name] for name in DIMENSIONS if name in cause.where}
    is_others = shown.get("user") == OTHER_USERS
    return {
        "where": {**shown, "user": ""} if is_others else shown,
        "is_other_users": is_others,
        "usd": plain_decimal(cause.usd),
        "actual_usd": plain_decimal(cause.actual_usd),
        "expected_usd": plain_decimal(cause.expected_usd),
        "calls": cause.calls,
        "expected_calls": round(cause.expected_calls),
    }
