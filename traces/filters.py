"""The trace list's one filter state, read from a query string; the page, its panels, the CSV and the API share it.

Nothing a reader types reaches SQL as a name: parameters are an allow-list, values are bound. What cannot be read is
left out with a note (pages) or raised (API).
"""

import datetime as dt
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from urllib.parse import urlencode

from django.db.models import F, Func, Q, TextField, Value
from django.http import QueryDict

from core.errors import DomainError
from core.ranges import TimeRange, make_range, parse_instant, parse_range
from costs.filters import NONE
from traces.models import SpanStatus

DEFAULT_RANGE = "24h"
MAX_VALUES = 50
MAX_TEXT = 200
# Parameter → the field of Trace it narrows.
VALUE_FACETS = {
    "status": "status",
    "name": "name",
    "model": "model_names",
    "provider": "providers",
    "environment": "environment",
    "agent": "agent",
    "user": "user_id",
    "session": "session_id",
    "tag": "tags",
}
LIST_FACETS = frozenset({"model", "provider", "tag"})
SORTS = {
    "started": "started_at",
    "cost": "cost_usd",
    "duration": "duration_ms",
    "tokens": "tokens",
    "steps": "span_count",
}
DEFAULT_SORT = "-started"
PAGE_PARAMS = frozenset(
    {"range", "start", "end", "q", "min_cost", "unpriced", "sort", "after", "before"}
)
KNOWN_PARAMS = PAGE_PARAMS | frozenset(VALUE_FACETS)
LIMIT = Decimal(10) ** 8


class InvalidFilterError(DomainError):
    """A filter that cannot be read; `fields` names it."""

    code = "invalid_filter"


@dataclass(frozen=True)
class TraceFilters:
    """What the reader asked for. `values` maps a facet to its chosen values; any of them matches."""

    range: TimeRange
    values: dict[str, tuple[str, ...]] = field(default_factory=dict)
    min_cost: Decimal | None = None
    unpriced: bool = False
    q: str = ""
    sort: str = DEFAULT_SORT
    notes: tuple[str, ...] = ()

    @property
    def sort_key(self) -> str:
        return self.sort.removeprefix("-")

    @property
    def is_descending(self) -> bool:
        return self.sort.startswith("-")

    @property
    def active_count(self) -> int:
        """How many facet choices are on."""
        return sum(map(len, self.values.values())) + (self.min_cost is not None) + self.unpriced

    @property
    def is_narrowed(self) -> bool:
        return bool(self.active_count or self.q)

    def where(self, *, without: str = "") -> Q:
        """Everything but the project, which the caller names; `without` leaves one facet out (for its own counts)."""
        found = Q(started_at__gte=self.range.start, started_at__lt=self.range.end)
        for facet, chosen in self.values.items():
            if facet == without:
                continue
            found &= _any_of(facet, chosen)
        if self.min_cost is not None and without != "min_cost":
            found &= Q(cost_usd__gt=self.min_cost)
        if self.unpriced and without != "unpriced":
            found &= Q(unpriced_calls__gt=0)
        if self.q:
            found &= text_match(self.q)
        return found

    def query(self, **changes: object) -> str:
        """The query string of this state with some parameters replaced (None drops one); never a page cursor."""
        pairs: list[tuple[str, str]] = []
        base: dict[str, object] = {
            "range": self.range.key,
            **{facet: [value or NONE for value in chosen] for facet, chosen in self.values.items()},
            "min_cost": None if self.min_cost is None else f"{self.min_cost.normalize():f}",
            "unpriced": "1" if self.unpriced else None,
            "q": self.q,
            "sort": None if self.sort == DEFAULT_SORT else self.sort,
        }
        for name, value in {**base, **changes}.items():
            if value is None or value == "":
                continue
            items = value if isinstance(value, list | tuple) else [value]
            pairs += [(name, str(item)) for item in items]
        return urlencode(pairs)

    def widened(self, key: str, *, now: dt.datetime) -> "TraceFilters":
        return replace(self, range=parse_range(key, now=now))


def _any_of(facet: str, chosen: tuple[str, ...]) -> Q:
    """Any of the values; "" is a trace that has none."""
    column = VALUE_FACETS[facet]
    if facet not in LIST_FACETS:
        return Q(**{f"{column}__in": list(chosen)})
    found = Q(**{f"{column}__overlap": [value for value in chosen if value]})
    return found | Q(**{f"{column}__len": 0}) if "" in chosen else found


def text_match(text: str) -> Q:
    """Trace id from its start, or any part of name, agent, user, session, model or tag; case does not matter."""
    return (
        Q(trace_id__istartswith=text)
        | Q(name__icontains=text)
        | Q(agent__icontains=text)
        | Q(user_id__icontains=text)
        | Q(session_id__icontains=text)
        | Q(model_text__icontains=text)
        | Q(tag_text__icontains=text)
    )


def text_annotations() -> dict[str, Func]:
    """Arrays as text, for `text_match`."""

    def joined(name: str) -> Func:
        return Func(F(name), Value("\n"), function="array_to_string", output_field=TextField())

    return {"model_text": joined("model_names"), "tag_text": joined("tags")}


def parse_filters(params: QueryDict, *, now: dt.datetime, strict: bool = False) -> TraceFilters:
    """Read a query string. Unreadable parts become `notes`, or with `strict` raise InvalidFilterError."""
    problems: list[tuple[str, str]] = []
    try:
        time_range = _range(params, now=now)
    except DomainError as error:
        problems.append(("range", error.detail))
        time_range = parse_range(DEFAULT_RANGE, now=now)
    values = {}
    for facet in VALUE_FACETS:
        if chosen := _values(params, facet, problems):
            values[facet] = chosen
    found = TraceFilters(
        range=time_range,
        values=values,
        min_cost=_min_cost(params.get("min_cost", ""), problems),
        unpriced=_flag(params, "unpriced", problems),
        q=_clean(params.get("q", "")),
        sort=_sort(params.get("sort", ""), problems),
    )
    if strict and problems:
        raise InvalidFilterError(
            "; ".join(text for _, text in problems), fields=[name for name, _ in problems]
        )
    return replace(found, notes=tuple(text for _, text in problems))


def _range(params: QueryDict, *, now: dt.datetime) -> TimeRange:
    """`range`, or the two ends that the range picker's own form sends."""
    if "start" in params and "end" in params:
        start, end = (parse_instant(str(params[name]), name) for name in ("start", "end"))
        return make_range(start, end, fields=("start", "end"))
    return parse_range(params.get("range", ""), now=now, default=DEFAULT_RANGE)


def unknown_params(params: QueryDict, *, also: frozenset[str] = frozenset()) -> list[str]:
    """Names in the query string that mean nothing here, shortened for a note."""
    return [name[:40] for name in params if name not in KNOWN_PARAMS and name not in also][:5]


def _clean(text: str) -> str:
    return text.replace("\x00", "").strip()[:MAX_TEXT]


def _values(params: QueryDict, facet: str, problems: list[tuple[str, str]]) -> tuple[str, ...]:
    given = (_clean(text) for text in params.getlist(facet))
    # An empty value is an untouched form field; "(none)" asks for traces without one.
    chosen = list(dict.fromkeys("" if text == NONE else text for text in given if text))
    if len(chosen) > MAX_VALUES:
        problems.append((facet, f"{facet} has {len(chosen)} values; at most {MAX_VALUES} are used"))
        chosen = chosen[:MAX_VALUES]
    if facet == "status":
        for value in [value for value in chosen if value not in SpanStatus.values]:
            chosen.remove(value)
            problems.append(
                (
                    facet,
                    f"status is {value[:40]!r}; it must be one of {', '.join(SpanStatus.values)}",
                )
            )
    return tuple(chosen)


def _min_cost(text: str, problems: list[tuple[str, str]]) -> Decimal | None:
    text = text.strip()
    if not text:
        return None
    try:
        amount = Decimal(text) if len(text) <= 30 and text.isascii() else Decimal("NaN")
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 <= amount < LIMIT or amount != round(amount, 12):
        problems.append(
            (
                "min_cost",
                f"min_cost is {text[:40]!r}; it must be an amount in dollars from 0 up, like 0.05",
            )
        )
        return None
    return amount


def _flag(params: QueryDict, name: str, problems: list[tuple[str, str]]) -> bool:
    text = params.get(name, "").strip().lower()
    if text not in ("", "0", "1", "true", "false", "on"):
        problems.append((name, f"{name} is {text[:40]!r}; it must be 1 or 0"))
    return text in ("1", "true", "on")


def _sort(text: str, problems: list[tuple[str, str]]) -> str:
    if not text:
        return DEFAULT_SORT
    if text.removeprefix("-") in SORTS:
        return text
    allowed = ", ".join(f"{key} or -{key}" for key in SORTS)
    problems.append(("sort", f"sort is {text[:40]!r}; it must be one of {allowed}"))
    return DEFAULT_SORT
