"""The flat log of one trace: its steps by time, length, cost or name, filtered, in keyset pages."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import DecimalField, F, FloatField, Q, QuerySet, Value
from django.db.models.functions import Coalesce

from core.cursors import decode_place, encode_place
from core.errors import DomainError
from traces.models import Span, SpanKind, SpanStatus, Trace
from traces.selectors.find import clean_query, matching_steps

PAGE_SIZE = 100
DEFAULT_SORT = "time"
_UNKNOWN = -1  # running steps and steps without a cost come before 0
_SORTS: dict[str, Any] = {
    "time": F("started_at"),
    "duration": Coalesce(F("duration_ms"), Value(float(_UNKNOWN)), output_field=FloatField()),
    "cost": Coalesce(
        F("cost_usd"), Value(Decimal(_UNKNOWN)), output_field=DecimalField(max_digits=20, decimal_places=12)
    ),
    "name": F("name"),
}  # fmt: skip
SORTS = tuple(_SORTS)
_KINDS: dict[str, type] = {"time": dt.datetime, "duration": float, "cost": Decimal, "name": str}


class LogFilterError(DomainError):
    """A filter of the log that is not one."""

    code = "invalid_filter"


@dataclass(frozen=True)
class LogFilters:
    """What the reader asked for."""

    kinds: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    text: str = ""
    sort: str = DEFAULT_SORT
    notes: tuple[str, ...] = ()

    @property
    def sort_key(self) -> str:
        return self.sort.removeprefix("-")

    @property
    def is_descending(self) -> bool:
        return self.sort.startswith("-")

    @property
    def is_narrowed(self) -> bool:
        return bool(self.kinds or self.statuses or self.text)


@dataclass(frozen=True)
class LogPage:
    """One page; the cursors are empty at the ends."""

    rows: Sequence[Span] = ()
    after: str = ""
    before: str = ""


def parse_log_filters(params: Mapping[str, Any], *, strict: bool = False) -> LogFilters:
    """Read `kind`, `status` (both may repeat), `q` and `sort`. What is unknown becomes a note, or with `strict` raises
    LogFilterError."""
    notes: list[str] = []

    def listed(name: str, allowed: list[str]) -> tuple[str, ...]:
        given = params.getlist(name) if hasattr(params, "getlist") else []
        for bad in [one for one in given if one and one not in allowed][:3]:
            notes.append(f"{name} is {bad[:40]!r}; it must be one of {', '.join(allowed)}.")
        return tuple(dict.fromkeys(one for one in given if one in allowed))

    kinds, statuses = listed("kind", SpanKind.values), listed("status", SpanStatus.values)
    sort = str(params.get("sort") or DEFAULT_SORT)
    if sort.removeprefix("-") not in _SORTS:
        notes.append(
            f"sort is {sort[:40]!r}; it must be one of {', '.join(SORTS)}, with - in front descending."
        )
        sort = DEFAULT_SORT
    if strict and notes:
        raise LogFilterError(notes[0], fields=[notes[0].split(" ")[0]])
    return LogFilters(kinds, statuses, clean_query(str(params.get("q") or "")), sort, tuple(notes))


def log_page(
    trace: Trace,
    filters: LogFilters,
    *,
    after: str = "",
    before: str = "",
    limit: int = PAGE_SIZE,
    sees_payloads: bool = True,
    steps: "QuerySet[Span] | None" = None,
) -> LogPage:
    """A page after or before a cursor, or the first. One query. Raises InvalidCursorError for a foreign cursor."""
    flip = bool(before and not after)
    descends = filters.is_descending != flip
    found = matching_log(trace, filters, sees_payloads=sees_payloads, steps=steps)
    found = found.annotate(sort_value=_SORTS[filters.sort_key])
    sign = "-" if descends else ""
    found = found.order_by(f"{sign}sort_value", f"{sign}span_id")
    if token := before if flip else after:
        value, span_id = decode_place(token, sort=filters.sort_key, kind=_KINDS[filters.sort_key])
        way = "lt" if descends else "gt"
        tie = Q(sort_value=value, **{f"span_id__{way}": span_id})
        found = found.filter(Q(**{f"sort_value__{way}": value}) | tie)
    rows = list(found[: limit + 1])
    has_more, rows = len(rows) > limit, rows[:limit]
    if flip:
        rows.reverse()
    has_before, has_after = (has_more, bool(token)) if flip else (bool(token), has_more)
    return LogPage(
        rows,
        _place_of(rows[-1], filters) if rows and has_after else "",
        _place_of(rows[0], filters) if rows and has_before else "",
    )


def matching_log(
    trace: Trace,
    filters: LogFilters,
    *,
    sees_payloads: bool = True,
    steps: "QuerySet[Span] | None" = None,
) -> "QuerySet[Span]":
    """The steps the filters keep, in no order, bounded by the trace's own days."""
    found = (Span.objects if steps is None else steps).filter(
        project=trace.project_id,
        trace_id=trace.trace_id,
        started_at__gte=trace.first_span_at,
        started_at__lte=trace.last_span_at,
    )
    if filters.kinds:
        found = found.filter(kind__in=filters.kinds)
    if filters.statuses:
        found = found.filter(status__in=filters.statuses)
    if filters.text:
        found = matching_steps(found, filters.text, with_errors=sees_payloads)
    return found


def _place_of(row: Any, filters: LogFilters) -> str:
    return encode_place(filters.sort_key, row.sort_value, row.span_id)


def log_rows(trace: Trace, filters: LogFilters, *, sees_payloads: bool) -> Iterator[Span]:
    """Every step the filters keep, in their order, 500 at a time."""
    after = ""
    while True:
        page = log_page(trace, filters, after=after, limit=500, sees_payloads=sees_payloads)
        yield from page.rows
        after = page.after
        if not after:
            return
