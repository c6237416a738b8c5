"""The dashboard's state: what its address says, read once and written back into every link (no database)."""

import datetime as dt
from dataclasses import dataclass, replace
from typing import cast
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse

from core.errors import DomainError
from core.ranges import (
    HOUR,
    Bin,
    InvalidRangeError,
    TimeRange,
    make_range,
    parse_instant,
    parse_range,
)
from costs.filters import EXTRA_FIELDS, NONE, ROW_FIELDS, SpendFilters, read_filters

DIMENSIONS = {
    "provider": "Provider",
    "model": "Model",
    "agent": "Agent",
    "environment": "Environment",
    "user": "User",
    "feature": "Feature",
    "tag": "Tag",
    "api_key": "API key",
    "prompt_version": "Prompt version",
    "operation": "Operation",
    "service_tier": "Service tier",
    "error_type": "Error type",
}
MEASURES = {"spend": "Spend", "calls": "Calls", "tokens": "Tokens", "errors": "Errors"}
BINS = {"auto": "Auto", "hour": "Hour", "day": "Day", "week": "Week", "month": "Month"}
RUNNING = {"0": "Per bin", "1": "Cumulative"}
SORTS = ("spend", "share", "change", "calls", "per_call", "p95", "model")
CHOICES: dict[str, tuple[str, ...]] = {
    "compare": ("prev", "month", "none"),
    "bin": tuple(BINS),
    "group": tuple(DIMENSIONS),
    "measure": tuple(MEASURES),
    "running": tuple(RUNNING),
    "mix": tuple(DIMENSIONS),
    "who": tuple(DIMENSIONS),
    "sort": tuple(f"{sign}{name}" for name in SORTS for sign in ("-", "")),
    "models": ("top", "all"),
    # Every panel in the first document, for readers without JavaScript.
    "full": ("0", "1"),
}
# More bars than this say nothing, and nobody can point at them.
MOST_HOURS = 14 * 24
# What the trace list can be narrowed by.
TRACE_FIELDS = {
    **{name: name for name in (*ROW_FIELDS, "user", "tag", "feature")},
    "error_type": "error",
}
DEFAULTS = {
    "compare": "prev",
    "bin": "auto",
    "group": "provider",
    "measure": "spend",
    "running": "0",
    "mix": "provider",
    "who": "agent",
    "sort": "-spend",
    "models": "top",
    "full": "0",
}


@dataclass(frozen=True)
class DashboardState:
    """`period` lies on hour borders; `choices` has a value for every name of CHOICES."""

    ref: str
    period: TimeRange
    filters: SpendFilters
    choices: dict[str, str]

    @property
    def previous(self) -> TimeRange | None:
        """The period to compare with, unless comparing is switched off."""
        compare = self.choices["compare"]
        if compare == "month":
            return self.period.month_before()
        return self.period.previous() if compare == "prev" else None

    @property
    def bin(self) -> Bin:
        """The bins asked for; the range's own where those would be too many."""
        asked = self.choices["bin"]
        if asked == "auto" or not fits(asked, self.period):
            return self.period.bin
        return cast(Bin, asked)

    def can_group(self, name: str) -> bool:
        """Sums know one dimension besides provider, model, environment and agent at a time."""
        return name in ROW_FIELDS or self.filters.extra in ("", name)

    def pairs(self) -> list[tuple[str, str]]:
        """The query string's content: only what differs from the defaults."""
        found = [] if self.period.key == "mtd" else [("range", self.period.key)]
        found += self.filters.pairs()
        return found + [
            (name, value) for name, value in self.choices.items() if value != DEFAULTS[name]
        ]

    def url(self, name: str = "costs:dashboard", **extra: str) -> str:
        query = urlencode([*self.pairs(), *extra.items()])
        address = reverse(name, kwargs={"slug": self.ref})
        return f"{address}?{query}" if query else address

    def choose(self, **choices: str) -> "DashboardState":
        return replace(self, choices={**self.choices, **choices})

    def with_period(self, period: TimeRange) -> "DashboardState":
        return replace(self, period=period)

    def without(self, name: str, value: str) -> "DashboardState":
        """Without one filter value (NONE for the empty one)."""
        filters = self.filters
        if name in ROW_FIELDS:
            left = tuple(kept for kept in filters.rows[name] if (kept or NONE) != value)
            rows = (
                {**filters.rows, name: left}
                if left
                else {k: v for k, v in filters.rows.items() if k != name}
            )
            return replace(self, filters=SpendFilters(rows, filters.extra, filters.values))
        values = tuple(kept for kept in filters.values if kept != value)
        return replace(
            self, filters=SpendFilters(filters.rows, filters.extra if values else "", values)
        )

    def narrowed(self, name: str, value: str) -> "DashboardState":
        """With one more filter: only this value of this dimension."""
        filters = self.filters
        if name in ROW_FIELDS:
            rows = {**filters.rows, name: (value,)}
            return replace(self, filters=SpendFilters(rows, filters.extra, filters.values))
        return replace(self, filters=SpendFilters(filters.rows, name, (value,)))

    def behind(self, name: str, value: str, period: TimeRange | None = None) -> str:
        """What lies behind one value: its traces, or for what traces cannot be narrowed by, the dashboard of it."""
        if name in TRACE_FIELDS:
            return self.traces_url(period, **{TRACE_FIELDS[name]: value})
        if not value or not self.can_group(name):
            return ""
        return self.narrowed(name, value).with_period(period or self.period).url()

    def traces_url(self, period: TimeRange | None = None, /, **extra: str) -> str:
        """The traces behind a figure: the same filters plus `extra`, in exactly these hours."""
        pairs = [("range", (period or self.period).explicit)]
        pairs += [
            (TRACE_FIELDS[name], value)
            for name, value in self.filters.pairs()
            if name in TRACE_FIELDS and TRACE_FIELDS[name] not in extra
        ]
        pairs += [(name, value or NONE) for name, value in extra.items()]
        return f"{reverse('traces:trace_list', kwargs={'slug': self.ref})}?{urlencode(pairs)}"


def read_state(query: QueryDict, *, ref: str, now: dt.datetime) -> DashboardState:
    """Read the address. Raises DomainError naming the parameter, its value and what is allowed."""
    choices = {}
    for name, allowed in CHOICES.items():
        value = query.get(name) or DEFAULTS[name]
        if value not in allowed:
            raise DomainError(
                f"{name} is {value[:40]!r}; it must be one of {', '.join(allowed)}.", fields=[name]
            )
        choices[name] = value
    return DashboardState(ref, _period(query, now).whole_hours(), _filters(query), choices)


def _filters(query: QueryDict) -> SpendFilters:
    """The filters; `only` and `value` are how the filter form names the one dimension besides the row fields."""
    only, value = query.get("only", ""), query.get("value", "").strip()
    if not (only and value):
        return read_filters(query)
    if only not in EXTRA_FIELDS:
        raise DomainError(
            f"only is {only[:40]!r}; it must be one of {', '.join(EXTRA_FIELDS)}.", fields=["only"]
        )
    named = query.copy()
    for name in EXTRA_FIELDS:
        named.pop(name, None)
    named[only] = value
    return read_filters(named)


def fits(size: str, period: TimeRange) -> bool:
    """Whether bins of this size can be drawn over the range."""
    return size != "hour" or period.duration <= MOST_HOURS * HOUR


def _period(query: QueryDict, now: dt.datetime) -> TimeRange:
    """`range`, or the two fields of the custom form."""
    first, last = query.get("start", ""), query.get("end", "")
    if not (first or last):
        return parse_range(query.get("range", ""), now=now)
    if not (first and last):
        raise InvalidRangeError(
            "A custom range needs both start and end.", fields=["start" if last else "end"]
        )
    return make_range(
        parse_instant(first, "start"),
        parse_instant(last, "end", is_end=True),
        fields=("start", "end"),
    )
