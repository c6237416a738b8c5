"""The dashboard's state: what its address says, read once and written back into every link (no database)."""

import datetime as dt
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse

from core.errors import DomainError
from core.ranges import InvalidRangeError, TimeRange, make_range, parse_instant, parse_range
from costs.filters import NONE, ROW_FIELDS, SpendFilters, read_filters

GROUP_LABELS = {
    "provider": "Provider",
    "model": "Model",
    "agent": "Agent",
    "environment": "Environment",
}
MIX_LABELS = {"provider": "Provider", "model": "Model"}
WHO_LABELS = {"agent": "Agents", "user": "Users"}
SORTS = ("spend", "share", "change", "calls", "per_call", "p95", "model")
CHOICES: dict[str, tuple[str, ...]] = {
    "compare": ("prev", "none"),
    "group": tuple(GROUP_LABELS),
    "mix": tuple(MIX_LABELS),
    "who": tuple(WHO_LABELS),
    "sort": tuple(f"{sign}{name}" for name in SORTS for sign in ("-", "")),
    "models": ("top", "all"),
    # Every panel in the first document, for readers without JavaScript.
    "full": ("0", "1"),
}
# What the trace list can be narrowed by; it has no API keys, features or prompt versions.
TRACE_FIELDS = (*ROW_FIELDS, "user", "tag")
DEFAULTS = {
    "compare": "prev",
    "group": "provider",
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
        return self.period.previous() if self.choices["compare"] == "prev" else None

    def pairs(self) -> list[tuple[str, str]]:
        """The query string's content: only what differs from the defaults."""
        found = [] if self.period.key == "mtd" else [("range", self.period.key)]
        found += self.filters.pairs()
        return found + [
            (name, value) for name, value in self.choices.items() if value != DEFAULTS[name]
        ]

    def url(self, name: str = "costs:dashboard") -> str:
        query = urlencode(self.pairs())
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

    def traces_url(self, period: TimeRange | None = None, /, **extra: str) -> str:
        """The traces behind a figure: the same filters plus `extra`, in exactly these hours."""
        pairs = [("range", (period or self.period).explicit)]
        # The trace list writes "no agent" as an empty value.
        kept = [
            (name, "" if value == NONE else value)
            for name, value in self.filters.pairs()
            if name not in extra
        ]
        pairs += [pair for pair in kept if pair[0] in TRACE_FIELDS] + list(extra.items())
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
    group = "user" if choices["who"] == "user" else ""
    return DashboardState(
        ref, _period(query, now).whole_hours(), read_filters(query, group_by=group), choices
    )


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
