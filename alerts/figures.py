"""Figures, times and names as alerts say them (pure). What nobody knows is said to be unknown, never to be zero."""

import datetime as dt
from decimal import Decimal, localcontext

from core import formats

UNKNOWN = "unknown"
MOST_NAME = 60
# What is counted a minute, by kind of alert.
COUNTED = {"call_rate": "calls", "token_rate": "tokens"}


def short(name: str, most: int = MOST_NAME) -> str:
    """A name that people gave, on one line and not longer than `most`."""
    flat = " ".join("".join(one if one.isprintable() else " " for one in name).split())
    return flat if len(flat) <= most else f"{flat[: most - 1].rstrip()}…"


def figure(value: Decimal | None, unit: str, counted: str = "") -> str:
    """`$81.20`, `7.5%`, `1.20 s`, `340 calls a minute`, `15 min`, `0.82`; `unknown` for None."""
    if value is None:
        return UNKNOWN
    match unit:
        case "usd":
            return formats.money(value)
        case "percent":
            return formats.percent(value / 100)
        case "ms":
            return formats.duration(value)
        case "seconds":
            return formats.duration(value * 1000) if value else "0 s"
        case "minutes":
            return span(value)
        case "per_minute":
            return f"{number(value)} {counted} a minute".replace("  ", " ")
        case "bytes":
            return formats.byte_size(int(value))
    return number(value)


def number(value: Decimal) -> str:
    """`1,240`, `0.825`: at most three digits after the point, none from a thousand up."""
    text = f"{abs(value):,.{0 if abs(value) >= 1000 else 3}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{formats.MINUS}{text}" if value < 0 and text != "0" else text


def span(minutes: Decimal | int) -> str:
    """`15 minutes`, `1 hour`, `2 h 05 min`, `1 day`, `7 days`."""
    whole = int(minutes)
    if whole < 1:
        return "less than a minute"
    for size, name in ((1440, "day"), (60, "hour")):
        if whole % size == 0:
            return f"{whole // size} {name}{'' if whole == size else 's'}"
    if whole < 60:
        return f"{whole} minute{'' if whole == 1 else 's'}"
    days, rest = divmod(whole, 1440)
    head = f"{days} d " if days else ""
    return f"{head}{rest // 60} h {rest % 60:02d} min"


def lasted(start: dt.datetime, end: dt.datetime) -> str:
    return span(int((end - start).total_seconds() // 60))


def exact(value: Decimal | None, unit: str, counted: str = "") -> str:
    """As `figure`, with every digit of an amount."""
    if unit == "usd" and value is not None:
        return formats.money_exact(value)
    return figure(value, unit, counted)


def pair(value: Decimal | None, limit: Decimal | None, unit: str, counted: str = "") -> tuple[str, str]:  # fmt: skip
    """Value and limit in words; where rounding would make them look alike, with as many digits as tell them apart."""
    words = figure(value, unit, counted), figure(limit, unit, counted)
    if words[0] == words[1] and value != limit and value is not None and limit is not None:
        value, limit = _apart(value, limit)
        return _digits(value, unit), _digits(limit, unit)
    return words


def _apart(value: Decimal, limit: Decimal) -> tuple[Decimal, Decimal]:
    """Both with the fewest decimals at which they differ: a share is a quotient and has dozens."""
    with localcontext(prec=80):
        for places in range(30):
            found = round(value, places), round(limit, places)
            if found[0] != found[1]:
                return found
    return value, limit


def _digits(value: Decimal, unit: str) -> str:
    text = formats.plain_decimal(value)
    return {"usd": formats.money_exact(value), "percent": f"{text}%", "ms": f"{text} ms"}.get(unit, text)  # fmt: skip
