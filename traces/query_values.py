"""How the text of a value becomes the value its key takes (pure)."""

import re
from decimal import Decimal, InvalidOperation

from core.ranges import InvalidRangeError, instant, parse_instant
from traces.query_terms import (
    AGE,
    UNITS_MS,
    Between,
    Compare,
    Exact,
    Glob,
    Key,
    Operator,
    Value,
    When,
    WhenBetween,
    has_number,
)

MULTIPLES = {"": Decimal(1), "k": Decimal(1000), "m": Decimal(10) ** 6, "b": Decimal(10) ** 9}
LIMIT = Decimal(10) ** 12
MAX_VALUE = 200
_NUMBER = re.compile(r"(\d{1,15}(?:\.\d{1,12})?|\.\d{1,12})([a-z]{0,2})", re.ASCII)


class InvalidValueError(ValueError):
    """A value its key cannot take; the text says what it takes."""


def read_value(key: Key, text: str) -> Value:
    """The value of a bare (unquoted) text. Raises InvalidValueError."""
    if len(text) > MAX_VALUE:
        raise InvalidValueError(f"a value has at most {MAX_VALUE} characters")
    if key.kind == "choice":
        return read_exact(key, text.lower())
    if key.kind == "text" or (key.kind == "score" and not has_number(text)):
        return _read_text(text)
    if key.kind == "time":
        return _read_time(text)
    low, dots, high = text.partition("..")
    if dots:
        first, last = _number(key, low), _number(key, high)
        if first > last:
            raise InvalidValueError(f"{low} is more than {high}; write the smaller one first")
        return Between(first, last)
    operator, rest = _operator(text)
    return Compare(operator, _number(key, rest))


def read_exact(key: Key, text: str) -> Value:
    """The value of a quoted text, where quotes mean anything. Raises InvalidValueError."""
    if len(text) > MAX_VALUE:
        raise InvalidValueError(f"a value has at most {MAX_VALUE} characters")
    if key.kind == "choice" and text not in key.choices:
        raise InvalidValueError(
            f"{key.name} is {text[:40]!r}; it must be one of {', '.join(key.choices)}"
        )
    if key.kind in ("text", "choice", "score"):
        return Exact(text)
    return read_value(key, text)


def _read_text(text: str) -> Value:
    """Stars make a pattern; a backslash takes the next character as it is."""
    parts, at = [""], 0
    while at < len(text):
        char = text[at]
        if char == "\\" and at + 1 < len(text):
            at += 1
            parts[-1] += text[at]
        elif char == "*":
            parts.append("")
        else:
            parts[-1] += char
        at += 1
    return Exact(parts[0]) if len(parts) == 1 else Glob(_squeezed(parts))


def _squeezed(parts: list[str]) -> tuple[str, ...]:
    """Two stars in a row are one."""
    return (parts[0], *(part for part in parts[1:-1] if part), parts[-1])


def _operator(text: str) -> tuple[Operator, str]:
    for sign in (">=", "<=", ">", "<", "="):
        if text.startswith(sign):
            return sign, text[len(sign) :]
    return "=", text


def _number(key: Key, text: str) -> Decimal:
    cleaned = text.strip().lower()
    sign = -1 if key.kind == "score" and cleaned.startswith("-") else 1
    if key.kind == "money":
        cleaned = cleaned.removeprefix("$")
    if sign < 0:
        cleaned = cleaned[1:]
    found = _NUMBER.fullmatch(cleaned)
    scale = _scale(key, found[2]) if found else None
    if not found or scale is None:
        raise InvalidValueError(f"{text[:40] or 'nothing'!r} is not {_EXPECTED[key.kind]}")
    try:
        number = (Decimal(found[1]) * scale * sign).normalize()
    except InvalidOperation:  # pragma: no cover - the pattern bounds the digits
        raise InvalidValueError(f"{text[:40]!r} is too long") from None
    if abs(number) >= LIMIT or number != round(number, 12):
        raise InvalidValueError(f"{text[:40]!r} is too large or too exact")
    if key.kind == "count" and number != int(number):
        raise InvalidValueError(f"{text[:40]!r} is not a whole number")
    return number + 0  # no negative zero


_EXPECTED = {
    "money": "an amount in dollars, like >0.05 or 1..5",
    "duration": "a length of time, like >2s, 300ms or 1m..5m",
    "count": "a number, like >1000 or 10k",
    "score": "a number, like >0.5",
}


def _scale(key: Key, unit: str) -> Decimal | None:
    if key.kind == "duration":
        return UNITS_MS.get(unit or "s")
    if key.kind == "count":
        return MULTIPLES.get(unit)
    return Decimal(1) if not unit else None


def _read_time(text: str) -> Value:
    first, dots, last = text.partition("..")
    if dots:
        return WhenBetween(_instant(first), _instant(last, is_end=True))
    operator, rest = _operator(text)
    if operator == "=":
        # A whole day, or since an age ago.
        if AGE.fullmatch(rest):
            return When(">=", _instant(rest))
        return WhenBetween(_instant(rest), _instant(rest, is_end=True))
    return When(operator, _instant(rest))


def _instant(text: str, *, is_end: bool = False) -> str:
    text = text.strip()
    if AGE.fullmatch(text):
        return text
    try:
        return instant(parse_instant(text, "started", is_end=is_end))
    except InvalidRangeError:
        raise InvalidValueError(
            f"{text[:40] or 'nothing'!r} is not a time, like -2h, 2026-11-01 or 2026-11-01T14:30Z"
        ) from None
