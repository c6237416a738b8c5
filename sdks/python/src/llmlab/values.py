"""From a snapshot to what is sent: masks, cuts, numbers JSON has no word for. Background thread only."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

MAX_TEXT = 1_048_576
_MAX_INT = 1 << 63
_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)

Masker = Callable[[str], str]


def finished(value: Any, mask: Masker | None) -> Any:
    """The value with texts masked and cut, NaN and huge integers as text."""
    kind = type(value)
    if kind is str:
        text = mask(value) if mask is not None else value
        if len(text) > MAX_TEXT:
            return f"{text[:MAX_TEXT]}…[cut: {len(text) - MAX_TEXT} characters]"
        return text
    if kind is dict:
        return {
            (mask(key) if mask is not None else key): finished(item, mask)
            for key, item in value.items()
        }
    if kind is list:
        return [finished(item, mask) for item in value]
    if kind is float:
        return value if math.isfinite(value) else _word(value)
    if kind is int and not -_MAX_INT <= value < _MAX_INT:
        return _digits(value)
    return value


def dumps(value: Any) -> bytes:
    """JSON in UTF-8; a lone half of a surrogate pair becomes a question mark."""
    return _encoder.encode(value).encode("utf-8", "replace")


def _word(value: float) -> str:
    if value != value:
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # Python refuses to write out more than 4,300 digits
        return hex(value)[:1_000]
