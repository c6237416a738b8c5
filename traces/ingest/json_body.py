"""Read a JSON body so that one odd number or character costs one field, not the whole upload.

The fast reader is strict. What it refuses but a person can still understand (NaN, a lone surrogate,
5,000 digits)
is read again by a slower one, which leaves a `BadNumber` in place for the field's own check to
refuse.
Depth is bounded by the readers' recursion check and answered as a 400.
"""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from traces.ingest.limits import BodyError, TooManyItemsError

_MAX_DIGITS = 400
# Values in one body. An empty object costs 3 bytes to send and 80 to hold.
_MAX_VALUES = 1_000_000
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"(\s*+:)?', re.DOTALL)


class BadNumber(msgspec.Struct, frozen=True):
    """A number we will not compute with; `text` is the start of how it was written."""

    text: str


def _decimal(text: str) -> Decimal | BadNumber:
    if len(text) > _MAX_DIGITS:
        return BadNumber(text[:60])
    try:
        number = Decimal(text)
    except InvalidOperation:
        return BadNumber(text[:60])
    # Arithmetic on 1E+999999 would allocate its digits.
    return number if abs(number.adjusted()) <= _MAX_DIGITS else BadNumber(text[:60])


def _integer(text: str) -> int | BadNumber:
    return int(text) if len(text) <= _MAX_DIGITS else BadNumber(text[:60])


# Fractions stay exact: money is read from the text the caller wrote.
_fast = msgspec.json.Decoder(float_hook=_decimal)


def load_json(body: bytes) -> Any:
    """The body as Python values. Raises BodyError for anything that is not one JSON text in
    UTF-8.
    """
    if not body.strip():
        raise BodyError("The body is empty: send a JSON text.")
    if _marks(body) > _MAX_VALUES and _marks(_STRING.sub(b"", body)) > _MAX_VALUES:
        raise TooManyItemsError(
            f"The body holds more than {_MAX_VALUES} values: send it in smaller parts."
        )
    try:
        value = _fast.decode(body)
    except RecursionError as error:
        raise _too_deep() from error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _load_slowly(body)
    # A repeated key would silently win over the first: count the keys as written against the keys
    # as read.
    if _keys_written(body) != _keys_read(value):
        return _load_slowly(body)
    return value


def _load_slowly(body: bytes) -> Any:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BodyError(f"The body is not UTF-8: byte {error.start} cannot be read.") from error
    try:
        return json.loads(
            text,
            parse_constant=BadNumber,
            parse_float=_decimal,
            parse_int=_integer,
            object_pairs_hook=_unique,
        )
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        raise BodyError(f"The body is not valid JSON: {str(error)[:200]}.") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                shown = key[:60].encode("utf-8", "replace").decode()
                raise BodyError(
                    f"The key {shown!r} appears twice in one object: each key may appear once."
                )
            seen.add(key)
    return result


def _marks(body: bytes) -> int:
    return body.count(b"{") + body.count(b"[") + body.count(b",")


def _keys_written(body: bytes) -> int:
    return sum(1 for match in _STRING.finditer(body) if match.group(1))


def _keys_read(value: Any) -> int:
    count = 0
    pending = [value]
    while pending:
        item = pending.pop()
        if type(item) is dict:
            count += len(item)
            pending.extend(item.values())
        elif type(item) is list:
            pending.extend(item)
    return count


def _too_deep() -> BodyError:
    return BodyError(
        "The JSON is nested too deeply: at most a few hundred levels are read.", code="too_deep"
    )
