"""What every chart shares: the data classes, the units and the escaping helpers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from core import formats

SLOTS = ("c1", "c2", "c3", "c4", "c5", "c6", "co")
Write = Callable[[formats.Number | None], str]
UNITS: dict[str, Write] = {
    "money": formats.money,
    "count": formats.count,
    "tokens": formats.tokens,
    "duration": formats.duration,
    "percent": formats.percent,
    "number": formats.figure,
}
AXIS: dict[str, Write] = UNITS | {
    "money": lambda value: formats.money(value, compact=True),
    "count": formats.tokens,
}
EMPTY = mark_safe("")

Value = Decimal | int | float | None


@dataclass(frozen=True)
class Series:
    """One colour of a chart. `slot` is c1 … c6 or co; `href` links its legend row, `hrefs[i]` its part of bar i;
    `is_dots`: events on a line chart, no course."""

    label: str
    values: Sequence[Value]
    slot: str = "c1"
    href: str = ""
    hrefs: Sequence[str] = field(default_factory=tuple)
    is_dots: bool = False


@dataclass(frozen=True)
class Slice:
    """One part of a donut or a row of a ranked list."""

    label: str
    value: Value
    slot: str = "c1"
    href: str = ""


@dataclass(frozen=True)
class Step:
    """One step of a trace for the step strip: its kind and how much of the strip it takes."""

    kind: str
    weight: Value = 1


def num(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def percent_of(value: float) -> str:
    return f"{num(value)}%"


def at(items: Sequence[str], index: int) -> str:
    return items[index] if index < len(items) else ""


def at_or_none(items: Sequence[Value], index: int) -> Value:
    return items[index] if index < len(items) else None


def linked(href: str, inner: SafeString) -> SafeString:
    """SVG content as a link out of the tab order: the keyboard's way is the arrow keys or the table."""
    return format_html('<a href="{}" tabindex="-1">{}</a>', href, inner) if href else inner


def join(parts: Sequence[SafeString]) -> SafeString:
    return mark_safe("".join(parts))  # noqa: S308 - parts come out of format_html
