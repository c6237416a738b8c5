"""Make values safe for PostgreSQL, msgpack and the page. Nothing reaches the writer around this
module (F11).

PostgreSQL refuses NUL in text and `\\u0000`, NaN and lone surrogates in jsonb; msgpack refuses
integers beyond
64 bits; a B-tree row refuses more than 2,704 bytes, so short text is bounded in bytes as well.
"""

import base64
import math
import re
from decimal import Decimal
from typing import Any

from traces.ingest.json_body import BadNumber
from traces.ingest.limits import NAME_LENGTH, Limits

_INT64 = 2**63
_KEY_LENGTH = 256
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]+")
# Ids end up in URLs: no slash, no space, nothing a browser rewrites. A lone "." or ".." is refused
# below.
_IDENTIFIER = re.compile(r"[A-Za-z0-9._:@+=~|-]{1,128}")

TRUNCATED = "truncated"
REPLACED = "replaced_characters"


def is_identifier(value: str) -> bool:
    """Whether `value` can name a trace or a step: 1 to 128 characters that survive in a URL."""
    return bool(_IDENTIFIER.fullmatch(value)) and value.strip(".") != ""


def clean_text(value: str) -> str:
    """`value` without NUL and lone surrogates, each replaced by U+FFFD."""
    if "\x00" in value:
        value = value.replace("\x00", "\ufffd")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            value = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def short_text(value: Any, limit: int = NAME_LENGTH) -> str:
    """One line of at most `limit` characters and twice as many bytes; empty for None and for
    containers.
    """
    if value is None or value == "":
        return ""
    text: str = value if type(value) is str else _scalar_text(value)
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text.strip()
    if not text.isprintable():
        text = _CONTROL.sub(" ", clean_text(text))
    text = text.strip()[:limit]
    if not text.isascii():
        encoded = text.encode()
        if len(encoded) > 2 * limit:
            text = encoded[: 2 * limit].decode("utf-8", "ignore")
    return text


def _scalar_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) < _INT64 else ""
    return str(value) if isinstance(value, (float, Decimal)) else ""


class Cleaner:
    """Cleans values of one span and remembers whether anything had to give."""

    __slots__ = ("limits", "replaced", "truncated")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.truncated = False
        self.replaced = False

    def flags(self) -> list[str]:
        """What to mark the span with."""
        return [TRUNCATED] * self.truncated + [REPLACED] * self.replaced

    def text(self, value: str, limit: int | None = None) -> str:
        """Free text: shortened, never refused."""
        limit = limit or self.limits.max_text
        if len(value) > limit:
            value = value[:limit]
            self.truncated = True
        cleaned = clean_text(value)
        if cleaned is not value:
            self.replaced = True
        return cleaned

    def value(self, value: Any, depth: int = 0) -> Any:
        """A JSON-able copy of `value`: bounded depth, keys, items and text; finite numbers that
        fit 64 bits.
        """
        kind = type(value)
        if kind is str:
            return self.text(value)
        if value is None or kind is bool:
            return value
        if kind is int:
            return value if -_INT64 <= value < _INT64 else self._huge(value)
        if kind is float:
            return value if math.isfinite(value) else _name_of(value)
        if kind is dict:
            return self._mapping(value, depth)
        if kind is list or kind is tuple:
            return self._sequence(value, depth)
        return self._other(value)

    def _mapping(self, value: dict[Any, Any], depth: int) -> Any:
        if depth >= self.limits.max_depth:
            return self._too_deep()
        result: dict[str, Any] = {}
        for key, item in value.items():
            if len(result) >= self.limits.max_keys:
                self.truncated = True
                break
            if type(key) is not str or len(key) > _KEY_LENGTH or not key.isprintable():
                key = self.text(key if type(key) is str else str(key), _KEY_LENGTH)
            # The common case decided in place: short, plain text.
            if type(item) is str and len(item) < 10_000 and item.isascii() and "\x00" not in item:
                result[key] = item
            else:
                result[key] = self.value(item, depth + 1)
        return result

    def _sequence(self, value: list[Any] | tuple[Any, ...], depth: int) -> Any:
        if depth >= self.limits.max_depth:
            return self._too_deep()
        if len(value) > self.limits.max_list:
            self.truncated = True
            value = value[: self.limits.max_list]
        return [self.value(item, depth + 1) for item in value]

    def _too_deep(self) -> str:
        self.truncated = True
        return f"[nested deeper than {self.limits.max_depth} levels]"

    def _huge(self, value: int) -> str:
        return str(value) if value.bit_length() < 1400 else f"{hex(value)[:400]}…"

    def _other(self, value: Any) -> Any:
        if isinstance(value, Decimal):
            number = float(value)
            return number if math.isfinite(number) else str(value)
        if isinstance(value, BadNumber):
            self.replaced = True
            return value.text
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self.text(base64.b64encode(value).decode())
        return self.text(str(value))


def _name_of(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
