"""What the API's questions behind the dashboard's panels may say: range, bins, measure, grouping, comparison."""

import datetime as dt
from dataclasses import dataclass
from typing import cast

from django.http import QueryDict

from core.errors import DomainError
from core.ranges import Bin, InvalidRangeError, TimeRange
from costs.filters import GROUPS, SpendFilters, read_filters
from costs.forms import (
    MAX_HOURLY,
    PERIOD_PARAMS,
    choice,
    read_limit,
    read_period,
    refuse_unknown,
)
from costs.selectors.sums import MEASURES

BINS = ("hour", "day", "week", "month")
COMPARISONS = ("none", "previous", "last_month")
ORDERS = ("spend", "calls", "errors")
METRICS = ("latency", "first_token")
DEFAULT_TOP, MAX_TOP = 5, 50
DEFAULT_GROUPS, MAX_GROUPS = 20, 200


@dataclass(frozen=True)
class PanelQuery:
    """A checked question; what a call does not take keeps its default."""

    period: TimeRange
    filters: SpendFilters
    size: Bin = "day"
    measure: str = "cost_usd"
    group_by: str = ""
    order: str = "spend"
    top: int = DEFAULT_TOP
    metric: str = "latency"
    previous: TimeRange | None = None


def read_series_query(query: QueryDict, *, now: dt.datetime) -> PanelQuery:
    """`GET …/costs/series`. Raises DomainError naming the parameter, its value and the rule."""
    known = {*PERIOD_PARAMS, "bin", "measure", "group_by", "order", "top", "compare", *GROUPS}
    refuse_unknown(query, known)
    period = read_period(query, now=now).whole_hours()
    group_by = choice(query, "group_by", GROUPS, "")
    return PanelQuery(
        period,
        read_filters(query, group_by=group_by),
        size=_bin(query, period),
        measure=choice(query, "measure", tuple(MEASURES), "cost_usd"),
        group_by=group_by,
        order=choice(query, "order", ORDERS, "spend"),
        top=_number(query, "top", DEFAULT_TOP, MAX_TOP),
        previous=_previous(query, period),
    )


def read_breakdown_query(query: QueryDict, *, now: dt.datetime) -> PanelQuery:
    """`GET …/costs/breakdown`. Raises DomainError naming the parameter, its value and the rule."""
    refuse_unknown(query, {*PERIOD_PARAMS, "group_by", "order", "limit", "compare", *GROUPS})
    period = read_period(query, now=now).whole_hours()
    group_by = choice(query, "group_by", GROUPS, "model")
    return PanelQuery(
        period,
        read_filters(query, group_by=group_by),
        group_by=group_by,
        order=choice(query, "order", ORDERS, "spend"),
        top=read_limit(query, default=DEFAULT_GROUPS, most=MAX_GROUPS),
        previous=_previous(query, period),
    )


def read_percentiles_query(query: QueryDict, *, now: dt.datetime) -> PanelQuery:
    """`GET …/costs/percentiles`. Raises DomainError naming the parameter, its value and the rule."""
    refuse_unknown(query, {*PERIOD_PARAMS, "metric", "bin", *GROUPS})
    period = read_period(query, now=now).whole_hours()
    return PanelQuery(
        period,
        read_filters(query),
        size=_bin(query, period),
        metric=choice(query, "metric", METRICS, "latency"),
    )


def _bin(query: QueryDict, period: TimeRange) -> Bin:
    """`bin`; without it the one that suits the range."""
    size = cast(Bin, choice(query, "bin", BINS, period.bin))
    if size == "hour" and period.duration > MAX_HOURLY:
        raise InvalidRangeError(
            f"bin is hour; the range may then span at most {MAX_HOURLY.days} days. Use day, or a shorter range.",
            fields=["bin", "end_date"],
        )
    return size


def _previous(query: QueryDict, period: TimeRange) -> TimeRange | None:
    compare = choice(query, "compare", COMPARISONS, "none")
    if compare == "last_month":
        return period.month_before()
    return period.previous() if compare == "previous" else None


def _number(query: QueryDict, name: str, default: int, most: int) -> int:
    """A small whole number, read as `limit` is."""
    text = query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= most):
        raise DomainError(
            f"{name} is {text[:40]!r}; it must be a whole number from 1 to {most}.", fields=[name]
        )
    return int(text)
