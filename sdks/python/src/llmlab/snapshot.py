"""Copy what the caller hands over, at the call, into something nobody else can change.

The rule: dicts, lists, tuples and sets are copied at every level; texts and numbers cannot change
and are shared; everything else (dataclasses, pydantic models, objects with `to_dict`, unknown
objects) is turned into its JSON form here, in the caller's thread, because another thread reading
it later would see a later state, or load lazy attributes where that is not allowed.

What costs time but cannot be observed (JSON text, masks, cutting long texts) is left to the
background thread: see `values`. Nothing in here raises.
"""

from __future__ import annotations

import sys
from typing import Any

from llmlab.objects import plain_form

MAX_DEPTH = 20
MAX_ITEMS = 10_000  # of one list or object; the server keeps no more
MAX_NODES = 100_000  # of one value: what bounds the time the caller pays
MAX_REPR = 1_000
_PLAIN = frozenset((str, int, float, bool, type(None)))
_SCALAR = 16


def snapshot(value: Any) -> tuple[Any, int]:
    """The value as JSON-able data of our own, and about how many bytes it holds."""
    kind = type(value)
    if kind is str:
        return value, len(value)
    if kind in _PLAIN:
        return value, _SCALAR
    copier = _Copier()
    try:
        return copier.copy(value, 0), copier.size
    except Exception:
        return _unreadable(value), MAX_REPR


def text_of(value: Any) -> str:
    """A name, user or tag as text, whatever was given."""
    if type(value) is str:
        return value
    try:
        return str(value)[:MAX_REPR]
    except Exception:
        return _unreadable(value)


def words_of(values: Any) -> tuple[str, ...]:
    """Tags: one text, or several of anything."""
    if values is None:
        return ()
    if isinstance(values, str):
        return (text_of(values),)
    try:
        return tuple(map(text_of, values))
    except Exception:
        return (text_of(values),)


class _Copier:
    __slots__ = ("nodes", "open", "size")

    def __init__(self) -> None:
        self.nodes = 0
        self.size = 0
        # ids of the containers above: the same object again is a circle, beside them it is not.
        self.open: set[int] = set()

    def copy(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is str:
            self.size += len(value) + _SCALAR
            return value
        if kind in _PLAIN:
            self.size += _SCALAR
            return value
        if kind is dict or kind is list or kind is tuple:
            return self._container(value, depth)
        return self._other(value, depth)

    def _container(self, value: Any, depth: int) -> Any:
        if depth >= MAX_DEPTH:
            return "[deep]"
        key = id(value)
        if key in self.open:
            return "[circular]"
        self.nodes += 1 + len(value) // 16
        if self.nodes > MAX_NODES:
            return "[cut: too many values]"
        self.open.add(key)
        try:
            if isinstance(value, dict):
                return self._dict(value, depth + 1)
            return self._list(value, depth + 1)
        finally:
            self.open.discard(key)

    def _list(self, value: Any, depth: int) -> list[Any]:
        rest = len(value) - MAX_ITEMS
        items = list(value[:MAX_ITEMS]) if rest > 0 else list(value)
        kinds = set(map(type, items))
        if kinds <= _PLAIN:  # vectors and lists of words: no look at each item in Python
            self.size += _SCALAR * len(items)
            if str in kinds:
                self.size += sum(len(item) for item in items if type(item) is str)
        else:
            self.nodes += len(items)
            items = [self.copy(item, depth) for item in items]
        if rest > 0:
            items.append(f"[cut: {rest} items]")
        return items

    def _dict(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        copied: dict[str, Any] = {}
        self.nodes += len(value)
        for index, (key, item) in enumerate(list(value.items())):
            if index >= MAX_ITEMS:
                copied["[cut]"] = f"{len(value) - MAX_ITEMS} fields"
                break
            name = text_of(key)
            self.size += len(name) + _SCALAR
            copied[name] = self.copy(item, depth)
        return copied

    def _other(self, value: Any, depth: int) -> Any:
        """Anything that is not exactly one of JSON's own types."""
        try:
            form = plain_form(value)
        except Exception:
            return _unreadable(value)
        kind = type(form)
        if kind in _PLAIN:
            self.size += _SCALAR + (len(form) if kind is str else 0)
            return form
        if depth >= MAX_DEPTH:
            return "[deep]"
        key = id(value)
        if key in self.open:
            return "[circular]"
        self.open.add(key)
        try:
            return self._container(form, depth)
        finally:
            self.open.discard(key)


def _unreadable(value: Any) -> str:
    """The last resort: the type's name, and why there is no more."""
    fault = sys.exc_info()[0]
    return f"[unreadable: {type(value).__name__}, {fault.__name__ if fault else 'error'}]"
