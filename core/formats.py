"""How figures are written for people. Pure: no Django, no clock; the template tags and the charts both use it.

Separators and zone are those of the reader (core.person_formats). Rules: money exact to the cent from one dollar and
to three significant digits below, never "<$0.01"; what has no value is a dash; minus is U+2212; tokens grouped to
99,999, then three digits and a letter.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import ROUND_HALF_UP, Decimal
from functools import wraps
from typing import Literal, ParamSpec

from core import person_formats

DASH = "—"
MINUS = "−"
FEW_CALLS = 20
COST_RISE_ALARM = Decimal(10)

Number = int | float | Decimal
Tone = Literal["good", "bad", ""]
P = ParamSpec("P")


def _for_reader(write: Callable[P, str]) -> Callable[P, str]:
    """The number that `write` makes with points and commas, with the reader's separators."""

    @wraps(write)
    def written(*args: P.args, **kwargs: P.kwargs) -> str:
        return person_formats.current().write(write(*args, **kwargs))

    return written


def decimal(value: Number | str) -> Decimal:
    """The exact Decimal of an int, Decimal or numeric string; a float goes through its shortest repr."""
    return value if isinstance(value, Decimal) else Decimal(str(value))


def _round(value: Decimal, places: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)


def _significant(value: Decimal, digits: int) -> Decimal:
    """`value` (positive) rounded to `digits` significant digits."""
    rounded = _round(value, digits - 1 - value.adjusted())
    # 0.9996 -> 1.000: one digit too many after the carry
    return (
        rounded
        if rounded.adjusted() == value.adjusted()
        else _round(rounded, digits - 1 - rounded.adjusted())
    )


def _strip(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


@_for_reader
def money(value: Number | None, *, compact: bool = False) -> str:
    """`$12,847.32`, `$0.221`, `$0.0847`, `$0.00002`, `$0`; None is a dash; `compact` for axes: `$12.8K`."""
    if value is None:
        return DASH
    amount = decimal(value)
    sign, size = (MINUS if amount < 0 else ""), abs(amount)
    if size == 0:
        return "$0"
    if compact and size >= 100:
        return f"{sign}${_short(size, thousands_from=10_000)}"
    if size >= 1:
        return f"{sign}${_round(size, 2):,.2f}"
    rounded = _significant(size, 3)
    if rounded >= 1:
        return f"{sign}${_round(rounded, 2):,.2f}"
    fraction = f"{rounded:f}".partition(".")[2].rstrip("0")
    return f"{sign}$0.{fraction.ljust(2, '0')}"


@_for_reader
def money_exact(value: Number | None) -> str:
    """Every stored digit, for a title: `$12,847.3214`."""
    if value is None:
        return DASH
    amount = decimal(value)
    whole, _, fraction = f"{abs(amount):,f}".partition(".")
    fraction = fraction.rstrip("0")
    sign = MINUS if amount < 0 else ""
    return f"{sign}${whole}.{fraction.ljust(2, '0')}" if fraction else f"{sign}${whole}"


def _short(size: Decimal, *, thousands_from: int) -> str:
    """`944`, `12.8K`, `1.2M`: one decimal at most; rounding up never shows `1000K`."""
    for limit, unit, letter in (
        (10**9, 10**9, "B"),
        (10**6, 10**6, "M"),
        (thousands_from, 1000, "K"),
    ):
        scaled = _round(size / unit, 1)
        if size >= limit or (letter != "K" and _round(size / (unit // 1000), 1) >= 1000):
            return f"{_strip(f'{scaled:f}')}{letter}"
    return f"{_round(size, 0):,f}"


@_for_reader
def tokens(value: Number | None) -> str:
    """`18,412`, `102K`, `1.02M`: exact to 99,999, then three significant digits."""
    if value is None:
        return DASH
    amount = decimal(value)
    sign, size = (MINUS if amount < 0 else ""), abs(amount)
    if size < 100_000:
        return f"{sign}{_round(size, 0):,f}"
    rounded = _significant(size, 3)
    unit, letter = next(
        (u, c) for u, c in ((10**9, "B"), (10**6, "M"), (10**3, "K")) if rounded >= u
    )
    return f"{sign}{_strip(f'{rounded / unit:f}')}{letter}"


@_for_reader
def count(value: Number | None) -> str:
    """A count in full: `1,102`."""
    return DASH if value is None else f"{decimal(value):,.0f}".replace("-", MINUS)


@_for_reader
def figure(value: Number | None) -> str:
    """A number without a unit: `1,240`, `12.5`, `0.825`; at most three digits after the point, none from 1,000 up."""
    if value is None:
        return DASH
    amount = decimal(value)
    text = _strip(f"{_round(abs(amount), 0 if abs(amount) >= 1000 else 3):,f}")
    return f"{MINUS}{text}" if amount < 0 and text != "0" else text


@_for_reader
def duration(milliseconds: Number | None) -> str:
    """`610 ms`, `11.84 s`, `1m 48s`, `2h 05m`."""
    if milliseconds is None:
        return DASH
    amount = decimal(milliseconds)
    sign, size = (MINUS if amount < 0 else ""), abs(amount)
    if 0 < size < 1:
        return f"{sign}{_strip(f'{_round(size, 2):f}')} ms" if size >= Decimal("0.01") else "0 ms"
    if _round(size, 0) < 1000:
        return f"{sign}{_round(size, 0):f} ms"
    seconds = _round(size / 1000, 2)
    if seconds < 60:
        return f"{sign}{seconds:f} s"
    whole = int(_round(size / 1000, 0))
    if whole < 3600:
        return f"{sign}{whole // 60}m {whole % 60}s"
    minutes = int(_round(size / 60_000, 0))
    return f"{sign}{minutes // 60}h {minutes % 60:02d}m"


@_for_reader
def percent(ratio: Number | None) -> str:
    """A fraction as `18.2%`; what is not quite nothing or everything never shows as 0% or 100%."""
    if ratio is None:
        return DASH
    amount = decimal(ratio) * 100
    sign, size = (MINUS if amount < 0 else ""), abs(amount)
    if size in (0, 100):
        return f"{sign}{size:.0f}%"
    if size < Decimal("0.05"):
        return f"<{sign}0.1%"
    rounded = _round(size, 1)
    if rounded == 100:
        return f"{'>' if size < 100 else ''}{sign}{'99.9' if size < 100 else '100.0'}%"
    return f"{sign}{rounded:,.1f}%"


@dataclass(frozen=True)
class Delta:
    """A change ready to show: never colour alone, so `icon` and `words` say the direction too."""

    text: str
    tone: Tone
    icon: str
    words: str


def delta(
    current: Number | None,
    previous: Number | None,
    *,
    rise: Literal["bad", "good", "neutral"] = "bad",
    base_calls: int | None = None,
) -> Delta:
    """The change from `previous` to `current`.

    `rise="bad"` (cost): up more than 10 % is bad, down is good, else grey. `rise="good"` is the mirror.
    `base_calls` is how many calls the previous figure rests on: below 20 the change stays grey.
    """
    if current is None or previous is None:
        return Delta(DASH, "", "", "no earlier figure to compare with")
    now, before = decimal(current), decimal(previous)
    if before == 0:
        return (
            Delta("0%", "", "", "no change")
            if now == 0
            else Delta("new", "", "plus", "new, nothing before")
        )
    change = (now - before) / abs(before) * 100
    if change == 0:
        return Delta("0%", "", "", "no change")
    up = change > 0
    size = percent(abs(change) / 100)
    few = base_calls is not None and base_calls < FEW_CALLS
    tone: Tone = ""
    if not few and rise != "neutral":
        worse = up if rise == "bad" else not up
        tone = "good" if not worse else ("bad" if abs(change) > COST_RISE_ALARM else "")
    words = f"{'up' if up else 'down'} {size}" + (", few data" if few else "")
    return Delta(size, tone, "arrow-up-right" if up else "arrow-down-right", words)


def short_id(value: object) -> str:
    """First 6 … last 4 of an id; short ones whole."""
    text = str(value)
    return text if len(text) <= 12 else f"{text[:6]}…{text[-4:]}"


@_for_reader
def byte_size(value: int | None) -> str:
    """`512 B`, `31.5 KB`, `1.2 MB` (1 KB = 1024 B)."""
    if value is None:
        return DASH
    if value < 1024:
        return f"{value} B"
    size = Decimal(value)
    for unit in ("KB", "MB", "GB", "TB"):
        size /= 1024
        if _round(size, 1) < 1024 or unit == "TB":
            break
    return f"{_strip(f'{_round(size, 1):f}')} {unit}"


def relative_time(moment: datetime, now: datetime) -> str:
    """`12 s ago`, `4 min ago`, `3 h ago`; from a day on the date: `Nov 12`, with the year when it differs."""
    seconds = int((now - moment).total_seconds())
    size = abs(seconds)
    if size >= 86_400:
        return date(moment, now, person_formats.zone())
    if size < 5:
        return "just now"
    amount = (
        f"{size} s" if size < 60 else f"{size // 60} min" if size < 3600 else f"{size // 3600} h"
    )
    return f"{amount} ago" if seconds > 0 else f"in {amount}"


def date(moment: datetime, now: datetime, zone: tzinfo = UTC) -> str:
    """`Nov 12`, or `Nov 12, 2025` in another year; UTC unless a zone is given, because days are billing days."""
    at = moment.astimezone(zone)
    text = f"{at:%b} {at.day}"
    return text if at.year == now.astimezone(zone).year else f"{text}, {at.year}"


def clock(moment: datetime) -> str:
    """`14:32:07` in the reader's zone."""
    return f"{moment.astimezone(person_formats.zone()):%H:%M:%S}"


def day_time(moment: datetime, now: datetime) -> str:
    """`Nov 12 14:32:07` in the reader's zone: both of the same zone, or midnight would shift by a day."""
    return f"{date(moment, now, person_formats.zone())} {clock(moment)}"


def exact_time(moment: datetime) -> str:
    """`2026-11-20 14:32:07 UTC` in the reader's zone, for a title."""
    return f"{moment.astimezone(person_formats.zone()):%Y-%m-%d %H:%M:%S %Z}"


def plain_decimal(value: Decimal) -> str:
    """For programs: every digit that says something, no exponent; `0.00066`, never `0.000660000000` or `6.6E-4`."""
    text = f"{value:f}"
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def instant(moment: datetime) -> str:
    """For programs: ISO 8601 in UTC with a Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
