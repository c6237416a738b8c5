"""A row's place in a sorted list as one word for a URL, and back. Nothing read from one is trusted."""

import base64
import binascii
import datetime as dt
import json
import math
from decimal import Decimal, InvalidOperation
from typing import Any

from core.errors import DomainError

LONGEST = 2_000


class InvalidCursorError(DomainError):
    """A page cursor this server did not make, or made for another order."""

    code = "invalid_cursor"


def encode_place(sort: str, value: Any, key: str) -> str:
    """The place of the row `key` in the order `sort`, where it stands by `value`."""
    if isinstance(value, dt.datetime):
        value = value.astimezone(dt.UTC).isoformat()
    elif isinstance(value, Decimal):
        value = str(value)
    text = json.dumps([sort, value, key], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_place(
    token: str, *, sort: str, kind: type, is_nullable: bool = False, field: str = "after"
) -> tuple[Any, str]:
    """The reverse: value and key. `kind` is the value's type: datetime, Decimal, float, int or str.

    Raises InvalidCursorError for anything this server would not have written for this order.
    """
    try:
        if len(token) > LONGEST:
            raise ValueError
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        stated_sort, value, key = json.loads(text)
        if stated_sort != sort or not isinstance(key, str) or "\x00" in key:
            raise ValueError
        return None if value is None and is_nullable else _typed(kind, value), key
    except (ValueError, TypeError, binascii.Error, InvalidOperation, RecursionError, OverflowError):
        raise InvalidCursorError(
            "The page cursor is not one this server gave out for this order; start from the first page.",
            fields=[field],
        ) from None


def _typed(kind: type, value: Any) -> Any:
    """The value as `kind`, within what PostgreSQL can compare it to; raises ValueError or TypeError."""
    if kind is dt.datetime:
        at = dt.datetime.fromisoformat(value)
        if at.tzinfo is None:
            raise ValueError
        return at
    if kind is Decimal:
        amount = Decimal(value)
        if not amount.is_finite() or abs(amount) >= 10**13:
            raise ValueError
        return amount
    if kind is float:
        number = float(value)
        if not math.isfinite(number):
            raise ValueError
        return number
    if kind is str and isinstance(value, str) and "\x00" not in value:
        return value
    if kind is int and type(value) is int and abs(value) < 2**62:
        return value
    raise ValueError
