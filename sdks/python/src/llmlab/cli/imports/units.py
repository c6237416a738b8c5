"""What a file is made of: units to send, and rows that cannot be (pure)."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple, Union

TRACES, COSTS, SCORES, OTLP = "traces", "costs", "scores", "otlp"


class Unit(NamedTuple):
    """One item of a door, and the line (or number of the record) it was read from. `weight`: its steps."""

    line: int
    door: str
    body: dict[str, Any]
    weight: int = 1


class Rejected(NamedTuple):
    """A row that was not stored, and why."""

    line: int
    reason: str


Item = Union[Unit, Rejected]


class RowError(ValueError):
    """A row that cannot be understood; the text names the field, its value and the rule."""


class Exact(float):
    """A number of a JSON file that still knows its digits: money is never read through a float."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Exact:
        made = super().__new__(cls, text)
        made.text = text
        return made


def load(text: str | bytes) -> Any:
    """JSON with exact numbers. NaN and Infinity, which are no JSON, stay as words. Raises ValueError."""
    try:
        return json.loads(text, parse_float=Exact, parse_constant=str)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def decimal_text(value: Any, field: str) -> str | None:
    """An amount as the doors take it: decimal text. Raises RowError."""
    if value is None or value == "":
        return None
    text = value.text if isinstance(value, Exact) else str(value).strip()
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if isinstance(value, bool) or not number.is_finite():
        raise RowError(f"{field} is {text[:40]!r}; it must be an amount")
    return f"{number:f}"


def whole(value: Any, field: str) -> int | None:
    """A count, given as number or text. Raises RowError."""
    if value is None or value == "":
        return None
    text = value.text if isinstance(value, Exact) else str(value).strip()
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if (
        isinstance(value, bool)
        or not number.is_finite()
        or number < 0
        or number != number.to_integral_value()
    ):
        raise RowError(f"{field} is {text[:40]!r}; it must be a whole number")
    return int(number)


def moment(value: Any, field: str, *, required: bool = False) -> dt.datetime | None:
    """A time in UTC: ISO 8601 (without a zone it is UTC) or seconds since 1970. Raises RowError."""
    if value is None or value == "":
        if required:
            raise RowError(f"{field} is missing; it must be a time")
        return None
    text = value.text if isinstance(value, Exact) else str(value).strip()
    try:
        if _is_number(text):
            seconds = Decimal(text)
            seconds = seconds / 1_000 if seconds > 100_000_000_000 else seconds
            epoch = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
            return epoch + dt.timedelta(microseconds=int(seconds * 1_000_000))
        found = dt.datetime.fromisoformat(_iso(text))
    except (ValueError, OverflowError, InvalidOperation):
        raise RowError(
            f"{field} is {text[:60]!r}; it must be a time like 2026-11-21T09:00:00Z"
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=dt.timezone.utc)).astimezone(
        dt.timezone.utc
    )


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


def _iso(text: str) -> str:
    """What Python 3.9 reads: an offset with a colon, and three or six digits of a second."""
    text = text.replace(" UTC", "Z").replace("Z", "+00:00").replace("z", "+00:00")
    head, dot, rest = text.partition(".")
    if not dot:
        return head
    digits = len(rest) - len(rest.lstrip("0123456789"))
    return f"{head}.{rest[:digits][:6].ljust(6, '0')}{rest[digits:]}"


def stamp(at: dt.datetime | None) -> str | None:
    """As the doors take it."""
    return None if at is None else at.isoformat().replace("+00:00", "Z")


def content_id(*parts: Any) -> str:
    """The same content gives the same id, whoever imports it and whenever."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


def stated(**fields: Any) -> dict[str, Any]:
    """The fields that say something."""
    return {
        name: value
        for name, value in fields.items()
        if value is not None and value != "" and value != []
    }
