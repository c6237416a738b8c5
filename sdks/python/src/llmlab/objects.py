"""The JSON form of objects that are not JSON's own: dates, decimals, dataclasses, pydantic models."""

from __future__ import annotations

import datetime as dt
import os
import sys
from collections import deque
from collections.abc import Mapping, Set
from enum import Enum
from typing import Any

_MAX_REPR = 1_000
_PLAIN = (str, int, float, bool, type(None))


def plain_form(value: Any) -> Any:
    """A text, number, dict or list that stands for the value; containers are not descended into.

    May raise whatever the object's own methods raise: the caller catches.
    """
    form = _known_form(value)
    if form is not None:
        return form
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"[:_MAX_REPR]
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    form = _object_form(value)
    return repr(value)[:_MAX_REPR] if form is None else form


def _known_form(value: Any) -> Any:
    """The form of the standard library's types, and of subclasses of JSON's own."""
    if isinstance(value, Enum):
        return plain_form(value.value) if not isinstance(value.value, _PLAIN) else value.value
    if isinstance(value, bool):
        return bool(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"[bytes: {value.nbytes if isinstance(value, memoryview) else len(value)}]"
    if isinstance(value, (dt.datetime, dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, (os.PathLike, dt.timedelta)) or _is_decimal(value):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (list, tuple)):
        names = getattr(value, "_fields", None)  # a named tuple says more as an object
        if isinstance(names, tuple):
            return dict(zip(names, value))
        return list(value)
    if isinstance(value, (Set, deque)):
        return list(value)
    return None


def _is_decimal(value: Any) -> bool:
    """Without importing decimal: where nobody has, there are none."""
    decimal = sys.modules.get("decimal")
    return decimal is not None and isinstance(value, decimal.Decimal)


def _object_form(value: Any) -> Any:
    """What the object says of itself: dataclass, pydantic, `to_dict`, a numpy or torch scalar."""
    fields = getattr(type(value), "__dataclass_fields__", None)
    if fields is not None:
        return {name: getattr(value, name, None) for name in fields}
    for method, options in (("model_dump", {"mode": "json"}), ("to_dict", {}), ("dict", {})):
        if callable(getattr(type(value), method, None)):
            try:
                form = getattr(value, method)(**options)
            except TypeError:
                continue
            if isinstance(form, (dict, list)):
                return form
    if type(value).__name__ == "UUID":
        return str(value)
    if getattr(value, "shape", None) == () and callable(getattr(type(value), "item", None)):
        item = value.item()
        return item if isinstance(item, _PLAIN) else str(item)
    return None
