"""Lists of rows that are kept added up (sessions, users, errors): one filter state, keyset pages at flat latency.

Each list is a `Spec`; names from the address reach SQL only through its allow-lists.
"""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.db.models import Model, Q, QuerySet
from django.http import QueryDict

from core.cursors import decode_place, encode_place
from core.errors import DomainError
from core.ranges import TimeRange, make_range, parse_instant, parse_range
from projects.models import Project
from traces.filters import InvalidFilterError

PAGE_SIZE = 50
COUNT_CAP = 10_000
DEFAULT_RANGE = "7d"
MAX_TEXT = 200
# What a column of each field is compared to; the others are whole numbers.
_KINDS: dict[str, type] = {
    "DateTimeField": dt.datetime,
    "DecimalField": Decimal,
    "FloatField": float,
    "CharField": str,
}


@dataclass(frozen=True)
class Choice:
    """One filter: parameter, its label, its values (empty: free text) with their labels."""

    param: str
    label: str
    values: tuple[tuple[str, str], ...] = ()
    default: str = ""


@dataclass(frozen=True)
class Spec:
    """A list. `where` maps "param" or "param=value" to the field lookup it adds; `sorts` a sort key to its column."""

    name: str
    model: type[Model]
    key: str
    sorts: dict[str, str]
    default_sort: str
    search: tuple[str, ...]
    choices: tuple[Choice, ...]
    where: dict[str, tuple[str, Any]]

    @property
    def params(self) -> frozenset[str]:
        fixed = {"range", "start", "end", "q", "sort"}
        return frozenset(fixed | {choice.param for choice in self.choices})


@dataclass(frozen=True)
class State:
    """What the reader asked for."""

    spec: Spec
    range: TimeRange
    q: str = ""
    chosen: tuple[tuple[str, str], ...] = ()
    sort: str = ""
    notes: tuple[str, ...] = ()

    @property
    def sort_key(self) -> str:
        return self.sort.removeprefix("-")

    @property
    def is_descending(self) -> bool:
        return self.sort.startswith("-")

    @property
    def is_narrowed(self) -> bool:
        return bool(self.q or self.chosen)

    def value(self, param: str) -> str:
        """What is chosen of one filter."""
        default = next((c.default for c in self.spec.choices if c.param == param), "")
        return dict(self.chosen).get(param, default)

    def query(self, **changes: object) -> str:
        """The query string of this state with some parameters replaced (None drops one); never a cursor."""
        base: dict[str, object] = {
            "range": self.range.key,
            "q": self.q,
            **dict(self.chosen),
            "sort": None if self.sort == self.spec.default_sort else self.sort,
        }
        return urlencode(
            [(name, str(value)) for name, value in {**base, **changes}.items() if value]
        )


@dataclass(frozen=True)
class Page:
    """One page; `before` and `after` are cursors, or empty."""

    rows: list[Any]
    before: str
    after: str


def parse_state(spec: Spec, params: QueryDict, *, now: dt.datetime, strict: bool = False) -> State:
    """Read a query string. Unreadable parts become notes, or with `strict` raise InvalidFilterError."""
    problems: list[tuple[str, str]] = []
    try:
        if "start" in params and "end" in params:
            ends = [parse_instant(str(params[name]), name) for name in ("start", "end")]
            period = make_range(ends[0], ends[1], fields=("start", "end"))
        else:
            period = parse_range(params.get("range", ""), now=now, default=DEFAULT_RANGE)
    except DomainError as error:
        problems.append(("range", error.detail))
        period = parse_range(DEFAULT_RANGE, now=now)
    chosen = []
    for choice in spec.choices:
        text = _clean(params.get(choice.param, ""))
        if not text:
            continue
        if choice.values and text not in dict(choice.values):
            allowed = ", ".join(value for value, _ in choice.values)
            problems.append(
                (choice.param, f"{choice.param} is {text[:40]!r}; it must be one of {allowed}")
            )
        elif text != choice.default:
            chosen.append((choice.param, text))
    sort = params.get("sort", "") or spec.default_sort
    if sort.removeprefix("-") not in spec.sorts:
        allowed = ", ".join(f"{key} or -{key}" for key in spec.sorts)
        problems.append(("sort", f"sort is {sort[:40]!r}; it must be one of {allowed}"))
        sort = spec.default_sort
    if strict and problems:
        raise InvalidFilterError(
            "; ".join(text for _, text in problems), fields=[name for name, _ in problems]
        )
    notes = tuple(text for _, text in problems)
    return State(spec, period, _clean(params.get("q", "")), tuple(chosen), sort, notes)


def _clean(text: str) -> str:
    return text.replace("\x00", "").strip()[:MAX_TEXT]


def matching(project: Project, state: State) -> QuerySet[Any]:
    """The project's rows that were last seen in the range and match, in no order."""
    spec = state.spec
    found = spec.model._default_manager.filter(
        project=project.pk, last_at__gte=state.range.start, last_at__lt=state.range.end
    )
    for choice in spec.choices:
        value = state.value(choice.param)
        if rule := spec.where.get(f"{choice.param}={value}"):
            found = found.filter(**{rule[0]: rule[1]})
        elif value and (rule := spec.where.get(choice.param)):
            found = found.filter(**{rule[0]: [value] if rule[1] is list else value})
    if state.q:
        any_of = Q()
        for column in spec.search:
            any_of |= Q(**{f"{column}__icontains": state.q})
        found = found.filter(any_of)
    return found


def page_of(
    project: Project, state: State, *, after: str = "", before: str = "", limit: int = PAGE_SIZE
) -> Page:
    """A page after or before a cursor, or the first one. One query. Raises InvalidCursorError."""
    backwards = bool(before and not after)
    token = before if backwards else after
    down = state.is_descending != backwards
    sign = "-" if down else ""
    column, key = state.spec.sorts[state.sort_key], state.spec.key
    found = matching(project, state).order_by(f"{sign}{column}", f"{sign}{key}")
    if token:
        value, at = _decode(token, state)
        way = "lt" if down else "gt"
        past = Q(**{f"{column}__{way}": value}) | Q(**{column: value, f"{key}__{way}": at})
        found = found.filter(Q(**{f"{column}__{way}e": value}) & past)
    rows = list(found[: limit + 1])
    has_more, rows = len(rows) > limit, rows[:limit]
    if backwards:
        rows.reverse()
    has_before, has_after = (has_more, bool(token)) if backwards else (bool(token), has_more)
    return Page(
        rows=rows,
        before=_encode(rows[0], state) if rows and has_before else "",
        after=_encode(rows[-1], state) if rows and has_after else "",
    )


def count_of(project: Project, state: State) -> tuple[int, bool]:
    """How many match, up to a cap, and whether there are more. One query."""
    count = matching(project, state).values(state.spec.key)[: COUNT_CAP + 1].count()
    return min(count, COUNT_CAP), count > COUNT_CAP


def _encode(row: Any, state: State) -> str:
    value = getattr(row, state.spec.sorts[state.sort_key])
    return encode_place(state.sort_key, value, getattr(row, state.spec.key))


def _decode(token: str, state: State) -> tuple[Any, str]:
    field = state.spec.model._meta.get_field(state.spec.sorts[state.sort_key])
    kind = _KINDS.get(field.get_internal_type(), int)
    return decode_place(token, sort=state.sort_key, kind=kind)
