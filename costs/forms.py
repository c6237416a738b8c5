"""What a cost question of the API may say: dates, granularity, grouping, page."""

import base64
import binascii
import datetime as dt
import json
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from uuid import UUID

from django.http import QueryDict

from core.errors import DomainError
from core.ranges import Bin, InvalidRangeError, TimeRange, floor, make_range, parse_instant
from costs.filters import EXTRA_FIELDS, GROUPS, ROW_FIELDS, SpendFilters, read_filters
from costs.models import PriceStatus

GRANULARITIES: dict[str, Bin | None] = {"hourly": "hour", "daily": "day", "total": None}
MAX_HOURLY = dt.timedelta(days=31)
DEFAULT_LIMIT, MAX_LIMIT = 500, 2000
PERIOD_PARAMS = ("start_date", "end_date")
PAGE_PARAMS = ("limit", "cursor")


@dataclass(frozen=True)
class SpendQuery:
    """`GET …/costs`, checked."""

    period: TimeRange
    granularity: str
    group_by: str
    filters: SpendFilters
    limit: int
    after: tuple[str, str] | None

    @property
    def size(self) -> Bin | None:
        return GRANULARITIES[self.granularity]


@dataclass(frozen=True)
class LedgerQuery:
    """`GET …/costs/records`, checked."""

    period: TimeRange
    filters: SpendFilters
    trace_id: str
    price_status: str
    limit: int
    after: tuple[dt.datetime, UUID] | None


def read_spend_query(query: QueryDict, *, now: dt.datetime) -> SpendQuery:
    """Raises DomainError naming the parameter, its value and the rule."""
    known = {*PERIOD_PARAMS, *PAGE_PARAMS, "granularity", "group_by", *GROUPS}
    refuse_unknown(query, known)
    period = read_period(query, now=now).whole_hours()
    granularity = choice(query, "granularity", tuple(GRANULARITIES), "daily")
    if granularity == "hourly" and period.duration > MAX_HOURLY:
        raise InvalidRangeError(
            f"granularity is hourly; the range may then span at most {MAX_HOURLY.days} days. Use daily, or a shorter"
            " range.",
            fields=["granularity", "end_date"],
        )
    group_by = choice(query, "group_by", GROUPS, "")
    filters = read_filters(query, group_by=group_by)
    after = _spend_cursor(query.get("cursor", ""), GRANULARITIES[granularity])
    return SpendQuery(period, granularity, group_by, filters, read_limit(query), after)


def read_ledger_query(query: QueryDict, *, now: dt.datetime) -> LedgerQuery:
    """Raises DomainError naming the parameter, its value and the rule. Without dates: the last 24 hours."""
    known = {*PERIOD_PARAMS, *PAGE_PARAMS, "trace_id", "price_status", *ROW_FIELDS, *EXTRA_FIELDS}
    refuse_unknown(query, known)
    if not (query.get("start_date") or query.get("end_date")):
        period = make_range(now - dt.timedelta(days=1), now)
    else:
        period = read_period(query, now=now)
    trace_id = query.get("trace_id", "")
    if len(trace_id) > 128 or "\x00" in trace_id:
        raise DomainError("trace_id has more than 128 characters, or a NUL.", fields=["trace_id"])
    return LedgerQuery(
        period,
        read_filters(query),
        trace_id,
        choice(query, "price_status", tuple(PriceStatus.values), ""),
        read_limit(query, default=100, most=1000),
        _ledger_cursor(query.get("cursor", "")),
    )


def read_period(query: QueryDict, *, now: dt.datetime) -> TimeRange:
    """start_date to end_date; without an end until now, without a start from the first of the end's month."""
    first, last = query.get("start_date", ""), query.get("end_date", "")
    end = parse_instant(last, "end_date", is_end=True) if last else now
    if first:
        start = parse_instant(first, "start_date")
    else:
        start = floor(end - dt.timedelta(microseconds=1), "day").replace(day=1)
    return make_range(start, end, fields=("start_date", "end_date"))


def refuse_unknown(query: QueryDict, known: set[str]) -> None:
    """A misspelt filter must not silently answer a wider question."""
    unknown = sorted(set(query) - known)
    if unknown:
        raise DomainError(
            f"{', '.join(name[:40] for name in unknown[:5])}: no such parameter; known are {', '.join(sorted(known))}.",
            code="unknown_parameter",
            fields=[name[:40] for name in unknown[:5]],
        )


def choice(query: QueryDict, name: str, allowed: tuple[str, ...], default: str) -> str:
    """One of a few words."""
    value = query.get(name) or default
    if value and value not in allowed:
        raise DomainError(
            f"{name} is {value[:40]!r}; it must be one of {', '.join(allowed)}.", fields=[name]
        )
    return value


def read_limit(query: QueryDict, *, default: int = DEFAULT_LIMIT, most: int = MAX_LIMIT) -> int:
    """How many lines a page may have."""
    text = query.get("limit", "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= most):
        raise DomainError(
            f"limit is {text[:40]!r}; it must be a whole number from 1 to {most}.", fields=["limit"]
        )
    return int(text)


def write_cursor(parts: list[str]) -> str:
    """An opaque place in a list."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[str, str]:
    raw = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    if not (isinstance(raw, list) and len(raw) == 2 and all(isinstance(part, str) for part in raw)):
        raise ValueError
    if "\x00" in raw[1]:
        raise ValueError
    return raw[0], raw[1]


def _spend_cursor(text: str, size: Bin | None) -> tuple[str, str] | None:
    if not text:
        return None
    try:
        first, value = _read_cursor(text)
        if size:
            if dt.datetime.fromisoformat(first).tzinfo is None:
                raise ValueError
        elif not Decimal(first).is_finite() or abs(Decimal(first)) >= Decimal(10) ** 14:
            raise ValueError
    except (ValueError, InvalidOperation, binascii.Error, RecursionError):
        raise _bad_cursor() from None
    return first, value


def _ledger_cursor(text: str) -> tuple[dt.datetime, UUID] | None:
    if not text:
        return None
    try:
        first, value = _read_cursor(text)
        at = dt.datetime.fromisoformat(first)
        if at.tzinfo is None or not 1970 <= at.year <= 9000:
            raise ValueError
        return at, UUID(value)
    except (ValueError, binascii.Error, RecursionError):
        raise _bad_cursor() from None


def _bad_cursor() -> DomainError:
    return DomainError(
        "cursor is not one this server gave out; start again without it.", fields=["cursor"]
    )
