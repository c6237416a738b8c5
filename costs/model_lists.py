"""The models page's state and rows: filter, sort, page, CSV (no database)."""

import csv
import datetime as dt
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse

from core.csv_cells import inert
from core.errors import DomainError
from core.formats import plain_decimal
from core.ranges import PRESETS, TimeRange, make_range, parse_instant, parse_range
from costs.labels import label_of, provider_slot
from costs.prices import ClassPrice, ListPrice
from costs.selectors.models import ModelRow

PAGE_SIZE = 50
STATUSES = {"": "All models", "priced": "Priced", "unpriced": "With unpriced calls"}
SORTS = ("model", "calls", "tokens", "spend", "input", "output", "unpriced")
# Classes with a column of their own; the others are listed together.
COLUMNS = ("input", "cache_read", "cache_write", "output")
CLASS_WORDS = {
    "input": "Input",
    "cache_read": "Cache read",
    "cache_write": "Cache write",
    "cache_write_5m": "Cache write, 5 min",
    "cache_write_1h": "Cache write, 1 h",
    "input_audio": "Audio input",
    "cache_read_audio": "Cached audio",
    "input_image": "Image input",
    "cache_read_image": "Cached images",
    "output": "Output",
    "reasoning": "Reasoning",
    "output_audio": "Audio output",
    "output_image": "Image output",
    "web_search": "Web search",
    "request": "Request",
}


@dataclass(frozen=True)
class Preset:
    key: str
    label: str


@dataclass(frozen=True)
class ShownRange:
    """What components/date_range.html shows."""

    label: str
    key: str
    start: dt.datetime
    end: dt.datetime
    presets: tuple[Preset, ...] = tuple(Preset(key, label) for key, label in PRESETS.items())


@dataclass(frozen=True)
class ModelState:
    """What the address says. `period` lies on hour borders."""

    ref: str
    period: TimeRange
    provider: str = ""
    status: str = ""
    q: str = ""
    sort: str = "-spend"
    after: str = ""

    def pairs(self) -> list[tuple[str, str]]:
        named = {
            "provider": self.provider,
            "status": self.status,
            "q": self.q,
            "sort": "" if self.sort == "-spend" else self.sort,
        }
        found = [] if self.period.key == "mtd" else [("range", self.period.key)]
        return found + [pair for pair in named.items() if pair[1]]

    def url(self, name: str = "costs:model_list") -> str:
        query = urlencode(self.pairs())
        address = reverse(name, kwargs={"slug": self.ref})
        return f"{address}?{query}" if query else address

    @property
    def shown_range(self) -> ShownRange:
        return ShownRange(self.period.label, self.period.key, self.period.start, self.period.end)


def read_period(query: QueryDict, now: dt.datetime) -> TimeRange:
    """`range`, or the two fields of the custom form. Raises InvalidRangeError."""
    first, last = query.get("start", ""), query.get("end", "")
    if first and last:
        return make_range(
            parse_instant(first, "start"),
            parse_instant(last, "end", is_end=True),
            fields=("start", "end"),
        ).whole_hours()
    return parse_range(query.get("range", ""), now=now).whole_hours()


def read_state(query: QueryDict, *, ref: str, now: dt.datetime) -> ModelState:
    """Raises DomainError naming the parameter, its value and what is allowed."""
    allowed: dict[str, Sequence[str]] = {
        "status": tuple(STATUSES),
        "sort": tuple(f"{sign}{name}" for name in SORTS for sign in ("", "-")),
    }
    for name, values in allowed.items():
        given = query.get(name, "")
        if given and given not in values:
            shown = ", ".join(value for value in values if value)
            raise DomainError(
                f"{name} is {given[:40]!r}; it must be one of {shown}.", fields=[name]
            )
    for name in ("provider", "q", "after"):
        if len(query.get(name, "")) > 300 or "\x00" in query.get(name, ""):
            raise DomainError(f"{name} has at most 300 characters and no NUL.", fields=[name])
    return ModelState(
        ref,
        read_period(query, now),
        query.get("provider", ""),
        query.get("status", ""),
        query.get("q", "").strip(),
        query.get("sort") or "-spend",
        query.get("after", ""),
    )


@dataclass(frozen=True)
class Cell:
    """A price in the table: per million (or thousand), with its thresholds in words."""

    words: str
    price: ClassPrice

    @property
    def unit(self) -> str:
        return "1M" if self.price.per == 1_000_000 else f"{self.price.per:,}"

    @property
    def thresholds(self) -> str:
        return "; ".join(
            f"${plain_decimal(usd)} above {start:,} input tokens" for start, usd in self.price.tiers
        )


@dataclass(frozen=True)
class ShownModel:
    """One line of the page."""

    row: ModelRow
    label: str
    note: str
    slot: str
    href: str
    set_href: str
    cells: dict[str, list[Cell]] = field(default_factory=dict)


def show(row: ModelRow, state: ModelState, *, prices_url: str) -> ShownModel:
    """A model with its addresses; `prices_url` is where an admin sets a price, "" for the others."""
    query = urlencode(
        [("provider", row.provider), ("model", row.model), ("range", state.period.key)]
    )
    wanted = urlencode([("kind", "override"), ("provider", row.provider), ("model", row.model)])
    return ShownModel(
        row=row,
        label=label_of("model", row.model),
        note=label_of("provider", row.provider),
        slot=provider_slot(row.provider),
        href=f"{reverse('costs:model_detail', args=[state.ref])}?{query}",
        set_href=f"{prices_url}?{wanted}" if prices_url else "",
        cells=cells_of(row.price.price),
    )


def cells_of(price: ListPrice) -> dict[str, list[Cell]]:
    """Prices by column: input, cache_read, cache_write (any age), output, other."""
    found: dict[str, list[Cell]] = {name: [] for name in (*COLUMNS, "other")}
    for one in price.classes:
        name = "cache_write" if one.token_class.startswith("cache_write") else one.token_class
        words = CLASS_WORDS.get(one.token_class, one.token_class.replace("_", " "))
        found[name if name in COLUMNS else "other"].append(Cell(words, one))
    return found


_ORDER: dict[str, Callable[[ModelRow], Any]] = {
    "model": lambda row: row.model,
    "calls": lambda row: row.sums.calls,
    "tokens": lambda row: row.sums.total_tokens,
    "spend": lambda row: row.sums.cost_usd,
    "input": lambda row: _price_of(row, "input"),
    "output": lambda row: _price_of(row, "output"),
    "unpriced": lambda row: row.sums.unpriced_calls,
}


def _price_of(row: ModelRow, token_class: str) -> Decimal:
    """Models without such a price stand below the free ones."""
    found = row.price.price.of(token_class)
    return found.price_usd if found else Decimal(-1)


def narrowed(rows: Sequence[ModelRow], state: ModelState) -> list[ModelRow]:
    """The rows the state lets through, in its order; names settle ties."""
    words = state.q.lower().split()
    kept = [
        row
        for row in rows
        if (not state.provider or row.provider == state.provider)
        and (not state.status or (state.status == "unpriced") == (row.sums.unpriced_calls > 0))
        and all(word in f"{row.provider} {row.model}".lower() for word in words)
    ]
    kept.sort(key=lambda row: (row.model, row.provider))
    key = state.sort.removeprefix("-")
    return sorted(kept, key=_ORDER[key], reverse=state.sort.startswith("-"))


def page_of(rows: Sequence[ModelRow], after: str) -> tuple[list[ModelRow], str]:
    """The page after a key, and the key the next one begins after ("": none)."""
    start = next((i + 1 for i, row in enumerate(rows) if key_of(row) == after), 0) if after else 0
    shown = list(rows[start : start + PAGE_SIZE])
    return shown, key_of(shown[-1]) if start + PAGE_SIZE < len(rows) else ""


def key_of(row: ModelRow) -> str:
    return f"{row.provider}\t{row.model}"


CSV_COLUMNS = (
    "provider", "model", "calls", "input_tokens", "output_tokens", "cache_read_input_tokens",
    "cache_write_input_tokens", "reasoning_output_tokens", "cost_usd", "unpriced_calls", "price_status",
    "price_source", "price_from", "price_to", "reason", *(f"{name}_usd" for name in CLASS_WORDS),
)  # fmt: skip


def models_csv(rows: Sequence[ModelRow]) -> str:
    """One line per model, amounts with every digit; prices per million tokens (searches, requests: per thousand)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(CSV_COLUMNS)
    for row in rows:
        sums, period, price = row.sums, row.price, row.price.price
        cost = sums.known_cost_usd
        by_class = {one.token_class: plain_decimal(one.price_usd) for one in price.classes}
        writer.writerow(
            [
                inert(row.provider), inert(row.model), sums.calls, sums.input_tokens, sums.output_tokens,
                sums.cache_read_input_tokens, sums.cache_write_input_tokens, sums.reasoning_output_tokens,
                "" if cost is None else plain_decimal(cost), sums.unpriced_calls, price.status, price.source,
                period.first or "", period.last or "", price.reason,
                *(by_class.get(name, "") for name in CLASS_WORDS),
            ]
        )  # fmt: skip
    return out.getvalue()
