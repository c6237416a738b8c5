"""How values and limits of rules are written for people, by the unit of their measure (pure)."""

from decimal import Decimal
from typing import Any

from alerts.figures import figure
from core import formats

# What a person types a limit in.
UNIT_WORDS = {
    "usd": "US dollars",
    "percent": "percent",
    "ms": "milliseconds",
    "per_minute": "per minute",
    "seconds": "seconds",
    "minutes": "minutes",
    "failures": "failures in a row",
    "score": "score",
}


def value_words(value: Decimal | None, unit: str, *, counted: str = "") -> str:
    """As messages write it (alerts.figures), for the reader of a page: None is a dash."""
    return formats.DASH if value is None else figure(value, unit, counted)


def change_words(percent: Decimal) -> str:
    """A change against the window before: `+50%`, `−20%`."""
    return ("+" if percent > 0 else "") + formats.percent(percent / 100)


def drawn(value: Decimal | None, unit: str) -> tuple[str, Any]:
    """The unit of core.charts for a value, and the value in it."""
    name, factor = {
        "usd": ("money", Decimal(1)),
        "percent": ("percent", Decimal("0.01")),
        "ms": ("duration", Decimal(1)),
        "seconds": ("duration", Decimal(1000)),
        "minutes": ("duration", Decimal(60_000)),
        "per_minute": ("number", Decimal(1)),
    }.get(unit, ("number", Decimal(1)))
    return name, None if value is None else value * factor
