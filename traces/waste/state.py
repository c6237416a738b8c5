"""What the page and the API are asked: range, kinds, words, order, place. Read from query strings."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from urllib.parse import urlencode

from django.http import QueryDict

from core.errors import DomainError
from core.formats import plain_decimal
from core.ranges import PRESETS, TimeRange, make_range, parse_instant, parse_range
from traces.models import WasteKind
from traces.waste.selectors import SORTS, Filters, Reason

DEFAULT = "30d"
# Days are looked through as a whole.
RANGES = {key: label for key, label in PRESETS.items() if key not in ("15m", "1h")}


@dataclass(frozen=True)
class WasteState:
    """A checked question."""

    period: TimeRange
    kind: str
    q: str
    sort: str
    after: tuple[Decimal, str] | None

    @property
    def filters(self) -> Filters:
        return Filters.of(self.period, kinds=(self.kind,) if self.kind else (), q=self.q)

    def query(self, **changes: str) -> str:
        """The query string, with changes; empty values are left out."""
        own = {"range": self.period.key, "kind": self.kind, "q": self.q, "sort": self.sort}
        if own["sort"] == "-wasted":
            own["sort"] = ""
        return urlencode({name: value for name, value in {**own, **changes}.items() if value})


def read_state(query: QueryDict, *, now: dt.datetime) -> WasteState:
    """Raises DomainError naming the parameter, its value and the rule."""
    kind, q, sort = query.get("kind", ""), query.get("q", "").strip(), query.get("sort", "-wasted")
    if kind and kind not in WasteKind.values:
        raise DomainError(
            f"kind is {kind[:40]!r}; it must be one of {', '.join(WasteKind.values)}.",
            fields=["kind"],
        )
    if sort not in SORTS:
        raise DomainError(
            f"sort is {sort[:40]!r}; it must be one of {', '.join(SORTS)}.", fields=["sort"]
        )
    if len(q) > 200 or "\x00" in q:
        raise DomainError("q has at most 200 characters and no NUL.", fields=["q"])
    return WasteState(_period(query, now), kind, q, sort, _after(query.get("after", "")))


def _period(query: QueryDict, now: dt.datetime) -> TimeRange:
    first, last = query.get("start"), query.get("end")
    if first and last:
        start, end = parse_instant(first, "start"), parse_instant(last, "end")
        return make_range(start, end, fields=("start", "end"))
    return parse_range(query.get("range", ""), now=now, default=DEFAULT).whole_hours()


def cursor_of(reason: Reason, sort: str) -> str:
    """The place after `reason` as it stands in an address."""
    value, key = reason.place(sort)
    return f"{plain_decimal(value)} {key}"


def _after(text: str) -> tuple[Decimal, str] | None:
    if not text:
        return None
    value, _, key = text.partition(" ")
    try:
        amount = Decimal(value)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or len(text) > 120 or "\x00" in text:
        raise DomainError(
            "after is not a place in this list; begin at its start.", fields=["after"]
        )
    return amount, key
