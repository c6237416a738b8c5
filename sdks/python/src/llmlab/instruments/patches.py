"""Replacing functions of other libraries, and giving them back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]


class Patches:
    """What was replaced, in order."""

    def __init__(self) -> None:
        self._done: list[tuple[Any, str, Any, Any]] = []

    def __bool__(self) -> bool:
        return bool(self._done)

    def add(self, owner: Any, name: str, wrap: Wrapper) -> None:
        """Replace an attribute by what `wrap` makes of it. Raises AttributeError when there is none."""
        original = getattr(owner, name)
        # Set anew only where it was the owner's own; what was inherited is inherited again.
        own = vars(owner).get(name)
        wrapped = wrap(original)
        setattr(owner, name, wrapped)
        self._done.append((owner, name, own, wrapped))

    def undo(self) -> None:
        """Put back what was there, except where somebody else patched over us since."""
        while self._done:
            owner, name, own, wrapped = self._done.pop()
            if vars(owner).get(name) is not wrapped:
                continue
            if own is None:
                delattr(owner, name)
            else:
                setattr(owner, name, own)
