"""The score list's one filter state, read from a query string; the page, its panels, the CSV and the API share it."""

import datetime as dt
import math
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from django.db.models import Q
from django.http import QueryDict

from core.errors import DomainError
from core.ranges import TimeRange, make_range, parse_instant, parse_range
from traces.models import ScoreSource, ScoreType

DEFAULT_RANGE = "30d"
DEFAULT_SORT = "-time"
SORTS = {"time": "scored_at", "value": "value"}
MAX_VALUES = 20
CHOICES: dict[str, tuple[str, ...]] = {
    "source": tuple(ScoreSource.values),
    "type": tuple(ScoreType.values),
}
# Parameter → the field of Score whose values it lists; any of them matches.
FIELDS = {
    "name": "name",
    "source": "source",
    "type": "data_type",
    "trace": "trace_id",
    "step": "span_id",
    "session": "session_id",
    "environment": "environment",
    "category": "text",
}
KNOWN_PARAMS = frozenset({*FIELDS, "range", "start", "end", "min", "max", "sort", "after"})


@dataclass(frozen=True)
class ScoreFilters:
    """What the reader asked for."""

    range: TimeRange
    values: dict[str, tuple[str, ...]]
    min: float | None = None
    max: float | None = None
    sort: str = DEFAULT_SORT
    notes: tuple[str, ...] = ()

    @property
    def sort_field(self) -> str:
        return SORTS[self.sort.removeprefix("-")]

    @property
    def is_descending(self) -> bool:
        return self.sort.startswith("-")

    @property
    def is_narrowed(self) -> bool:
        return bool(self.values) or self.min is not None or self.max is not None

    def where(self) -> Q:
        """Everything but the project, which the caller names."""
        found = Q(scored_at__gte=self.range.start, scored_at__lt=self.range.end)
        for name, chosen in self.values.items():
            found &= Q(**{f"{FIELDS[name]}__in": chosen})
        if self.min is not None:
            found &= Q(value__gte=self.min)
        if self.max is not None:
            found &= Q(value__lte=self.max)
        if self.sort_field == "value":  # categories have no order
            found &= Q(value__isnull=False)
        return found

    def query(self, **changes: object) -> str:
        """The query string of this state with some parameters replaced (None drops one); never a page cursor."""
        base: dict[str, object] = {
            "range": self.range.key,
            **self.values,
            "min": None if self.min is None else f"{self.min:g}",
            "max": None if self.max is None else f"{self.max:g}",
            "sort": None if self.sort == DEFAULT_SORT else self.sort,
        }
        pairs: list[tuple[str, str]] = []
        for name, value in {**base, **changes}.items():
            if value is None or value == "":
                continue
            items = value if isinstance(value, list | tuple) else [value]
            pairs += [(name, str(item)) for item in items]
        return urlencode(pairs)


def parse_score_filters(
    params: QueryDict, *, now: dt.datetime, strict: bool = False
) -> ScoreFilters:
    """Read a query string. Unreadable parts become `notes`, or with `strict` raise DomainError naming the fields."""
    problems: list[tuple[str, str]] = []
    try:
        period = _range(params, now=now)
    except DomainError as error:
        problems.append(("range", error.detail))
        period = parse_range(DEFAULT_RANGE, now=now)
    values = {name: chosen for name in FIELDS if (chosen := _values(params, name, problems))}
    sort = params.get("sort", "") or DEFAULT_SORT
    if sort.removeprefix("-") not in SORTS:
        problems.append(("sort", f"sort is {sort[:40]!r}; it must be time, -time, value or -value"))
        sort = DEFAULT_SORT
    found = ScoreFilters(
        range=period,
        values=values,
        min=_number(params, "min", problems),
        max=_number(params, "max", problems),
        sort=sort,
    )
    if strict and problems:
        raise DomainError(
            "; ".join(text for _, text in problems),
            code="invalid_filter",
            fields=[name for name, _ in problems],
        )
    return replace(found, notes=tuple(text for _, text in problems))


def _range(params: QueryDict, *, now: dt.datetime) -> TimeRange:
    if "start" in params and "end" in params:
        start, end = (parse_instant(str(params[name]), name) for name in ("start", "end"))
        return make_range(start, end, fields=("start", "end"))
    return parse_range(params.get("range", ""), now=now, default=DEFAULT_RANGE)


def _values(params: QueryDict, name: str, problems: list[tuple[str, str]]) -> tuple[str, ...]:
    given = (text.replace("\x00", "").strip()[:200] for text in params.getlist(name))
    chosen = tuple(dict.fromkeys(text for text in given if text))
    if len(chosen) > MAX_VALUES:
        problems.append((name, f"{name} has {len(chosen)} values; at most {MAX_VALUES} are used"))
        chosen = chosen[:MAX_VALUES]
    allowed = CHOICES.get(name)
    if allowed and (bad := [value for value in chosen if value not in allowed]):
        problems.append(
            (name, f"{name} is {bad[0][:40]!r}; it must be one of {', '.join(allowed)}")
        )
        chosen = tuple(value for value in chosen if value in allowed)
    return chosen


def _number(params: QueryDict, name: str, problems: list[tuple[str, str]]) -> float | None:
    text = params.get(name, "").strip()
    if not text:
        return None
    try:
        number = float(text) if len(text) <= 40 else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        problems.append((name, f"{name} is {text[:40]!r}; it must be a number"))
        return None
    return number
