"""What a drafted limit would have met in the last 30 days, from the ledger's hourly and daily sums."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection

from core import formats
from core.ranges import DAY, floor
from gateway.models import Limit, LimitMetric, LimitScope, LimitWindow
from projects.models import Project

DAYS = 30
_DIMENSIONS = {
    LimitScope.KEY: "api_key",
    LimitScope.USER: "user",
    LimitScope.TAG: "tag",
}
_SUMS = {
    LimitMetric.REQUESTS: "sum(a.calls)",
    LimitMetric.TOKENS: "sum(a.input_tokens + a.output_tokens)",
    LimitMetric.USD: "sum(a.cost_usd)",
}
_GROUPS = {
    LimitScope.ORGANIZATION: "''",
    LimitScope.PROJECT: "a.project_id::text",
    LimitScope.MODEL: "a.model",
}
_SQL = """
SELECT count(*), count(*) FILTER (WHERE one.total > %s), max(one.total),
  count(DISTINCT one.subject) FILTER (WHERE one.total > %s)
FROM (
  SELECT {group} AS subject, date_trunc(%s, a.hour, 'UTC') AS start, {total} AS total
  FROM {table} a
  WHERE a.project_id = ANY(%s) AND a.dimension = %s AND a.hour >= %s AND a.hour < %s
    AND (%s = '' OR {group} = %s)
  GROUP BY 1, 2
) one
"""


@dataclass(frozen=True)
class Preview:
    """`beyond` windows of `windows` that had calls went over it, of `subjects` subjects."""

    words: str
    details: str
    windows: int = 0
    beyond: int = 0


def preview_of(limit: Limit, now: dt.datetime) -> Preview:
    """By what recorded calls used, whether the gateway or others made them. Two queries at most.

    The ledger's sums are kept by the hour: limits per minute and of calls at once are not in them.
    """
    if limit.window in (LimitWindow.NONE, LimitWindow.MINUTE):
        return Preview(
            "The past cannot tell: sums are kept by the hour.",
            "Limits per minute and of calls at once show what they refuse as soon as they run.",
        )
    windows, beyond, most, subjects = _read(limit, now)
    said = _amount(limit, Decimal(most or 0))
    if not windows:
        return Preview(f"No call of the last {DAYS} days would have counted.", "")
    details = f"The most in one {limit.window} was {said}, {formats.percent(Decimal(most or 0) / limit.amount)}."
    if not beyond:
        return Preview(
            f"Nothing would have gone over it in the last {DAYS} days.", details, windows
        )
    times = f"{beyond} of {windows} {limit.window}s" if windows > 1 else f"1 {limit.window}"
    who = f" of {subjects} {LimitScope(limit.scope).label.lower()}s" if subjects > 1 else ""
    what = (
        "Calls beyond it would have been refused."
        if limit.is_hard
        else "It is soft: nothing would have been refused."
    )
    return Preview(
        f"{times}{who} went over it in the last {DAYS} days.", f"{what} {details}", windows, beyond
    )


def _read(limit: Limit, now: dt.datetime) -> tuple[int, int, Decimal | None, int]:
    scope = LimitScope(limit.scope)
    projects = Project.objects.filter(organization_id=limit.organization_id)
    if limit.project_id:
        projects = projects.filter(pk=limit.project_id)
    is_hourly = limit.window == LimitWindow.HOUR
    end = now if is_hourly else floor(now, "day") + DAY
    sql = _SQL.format(
        group=_GROUPS.get(scope, "a.value"),
        total=_SUMS[LimitMetric(limit.metric)],
        table="costs_costaggregate" if is_hourly else "costs_costdailyaggregate",
    )
    with connection.cursor() as cursor:
        cursor.execute(
            sql,
            [
                limit.amount,
                limit.amount,
                limit.window,
                list(projects.values_list("pk", flat=True)),
                _DIMENSIONS.get(scope, "all"),
                floor(now, "day") - (DAYS - 1) * DAY,
                end,
                limit.value,
                limit.value,
            ],
        )
        found: tuple[int, int, Decimal | None, int] = cursor.fetchone()
    return found


def _amount(limit: Limit, amount: Decimal) -> str:
    if limit.metric == LimitMetric.USD:
        return formats.money(amount)
    return f"{formats.count(int(amount))} {LimitMetric(limit.metric).label.lower()}"
