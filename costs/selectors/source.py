"""Where cost questions read from: daily sums for the whole days of a range, hourly ones for what is left at its ends.

Statements are put together from constants of this module only; everything that comes from outside is a parameter.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection

from core.ranges import DAY, Bin, TimeRange, floor
from costs.filters import ROW_FIELDS, SpendFilters
from costs.models import BY_FIELDS, Dimension
from costs.selectors.sums import FIELDS

HOURLY, DAILY = "costs_costaggregate", "costs_costdailyaggregate"
HISTOGRAMS = ("latency", "first_token")
_BINS: dict[Bin | None, str] = {
    None: "NULL::timestamptz",
    "hour": "hour",
    "day": "date_trunc('day', hour, 'UTC')",
    "week": "date_trunc('week', hour, 'UTC')",
    "month": "date_trunc('month', hour, 'UTC')",
}
NOW, PAST = " FILTER (WHERE NOT is_past)", " FILTER (WHERE is_past)"


def sums_sql(fields: tuple[str, ...] = FIELDS, only: str = "") -> str:
    """The sums of some columns; `only` is NOW or PAST."""
    return ", ".join(f"sum({name}){only}" for name in fields)


@dataclass(frozen=True)
class Question:
    """What is asked of the sums. `single_out` keeps these values of one grouping and folds the others into None;
    `fields` are the columns of Sums that are read, the others stay 0."""

    project_id: UUID
    period: TimeRange
    filters: SpendFilters
    group_by: tuple[str, ...] = ()
    previous: TimeRange | None = None
    size: Bin | None = None
    single_out: tuple[str, ...] | None = None
    histogram: str = ""
    fields: tuple[str, ...] = FIELDS

    @property
    def dimension(self) -> str:
        """The one extra dimension the question reads, or ALL."""
        extra = next((name for name in self.group_by if name not in ROW_FIELDS), self.filters.extra)
        return extra or Dimension.ALL.value

    @property
    def daily_dimension(self) -> str:
        """What the daily rows that can answer are called."""
        if self.dimension == Dimension.ALL.value:
            return self.dimension
        reads_fields = self.filters.rows or set(self.group_by) & set(ROW_FIELDS)
        return self.dimension + (BY_FIELDS if reads_fields else "")

    @property
    def keeps_histogram(self) -> bool:
        """Latencies are kept where every call is held once, so not apart by user, tag, …"""
        return self.dimension == Dimension.ALL.value


def column_of(name: str) -> str:
    """The column that holds a dimension's value."""
    return name if name in ROW_FIELDS else "value"


def source(question: Question) -> tuple[str, list[Any]]:
    """A FROM item of the rows asked for: is_past, bin, g0 …, the sums, and `counts` with a histogram."""
    has_days = question.size != "hour"
    parts = [(False, *part) for part in _parts(question.period, has_days=has_days)]
    if question.previous:
        parts += [(True, *part) for part in _parts(question.previous, has_days=has_days)]
    selects, params = [], []
    for is_past, table, start, end in parts:
        text, values = _select(question, table, is_past=is_past)
        selects.append(text)
        dimension = question.daily_dimension if table == DAILY else question.dimension
        params += [*values[0], question.project_id, dimension, start, end, *values[1]]
    return f"({' UNION ALL '.join(selects)}) AS s", params


def _parts(period: TimeRange, *, has_days: bool) -> list[tuple[str, dt.datetime, dt.datetime]]:
    """(table, from, to): whole days from the daily sums, the rest from the hourly ones."""
    first, last = (
        floor(period.start + DAY - dt.timedelta(microseconds=1), "day"),
        floor(period.end, "day"),
    )
    if not has_days or first >= last:
        return [(HOURLY, period.start, period.end)]
    found = [(HOURLY, period.start, first), (DAILY, first, last), (HOURLY, last, period.end)]
    return [part for part in found if part[1] < part[2]]


def _select(
    question: Question, table: str, *, is_past: bool
) -> tuple[str, tuple[list[Any], list[Any]]]:
    """One SELECT, with its parameters before and after those of project, dimension and hours."""
    before: list[Any] = []
    groups = []
    for place, name in enumerate(question.group_by):
        column = column_of(name)
        if question.single_out is not None:
            before.append(list(question.single_out))
            column = f"CASE WHEN {column} = ANY(%s) THEN {column} END"
        groups.append(f"{column} AS g{place}")
    wanted = [
        f"{'true' if is_past else 'false'} AS is_past",
        f"{_BINS[question.size]} AS bin",
        *groups,
        *question.fields,
    ]
    if question.histogram and question.keeps_histogram:
        wanted.append(f"{question.histogram}_counts AS counts")
    where, after = _where(question.filters)
    text = f"SELECT {', '.join(wanted)} FROM {table} WHERE project_id = %s AND dimension = %s"  # noqa: S608
    return f"{text} AND hour >= %s AND hour < %s{where}", (before, after)


def _where(filters: SpendFilters) -> tuple[str, list[Any]]:
    text, params = "", []
    for name, values in filters.rows.items():
        text += f" AND {name} = ANY(%s)"
        params.append(list(values))
    if filters.values:
        text += " AND value = ANY(%s)"
        params.append(list(filters.values))
    return text, params


def fetch(sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The rows of one statement."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


# An average of vectors is summed in double precision; times their number it is the exact count.
COUNTS = "avg(counts)::real[], count(counts)"
NOW_COUNTS = f"(avg(counts){NOW})::real[], count(counts){NOW}"


def counts_from(average: Sequence[float] | None, number: int) -> list[int]:
    """The histogram behind COUNTS; empty when no row had one."""
    return [round(value * number) for value in average or ()]
