"""A project's texts as numbers, one numbering for all its days, so that days lie behind one another as they are."""

import threading
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np

from costs.explorer.packing import narrow

# Roughly what a text takes, its number included.
_TEXT_BYTES = 200


class Numbering:
    """Texts in the order they were first seen. Only grows."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.listed: list[str] = []

    def of(self, texts: Sequence[str]) -> Any:
        """The number of each text; new ones follow."""
        numbers = self.numbers
        found = list(map(numbers.get, texts))
        if None in found:
            found = [numbers.setdefault(text, len(numbers)) for text in texts]
            new = list(islice(reversed(numbers), len(numbers) - len(self.listed)))
            self.listed += reversed(new)
        return np.array(found, dtype=np.int64)


class Words:
    """The numberings of a project. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._columns: dict[str, Numbering] = {}
        self.size = 0

    def number(self, name: str, texts: Sequence[str]) -> Any:
        """Numbers of a column's texts, in the narrowest type."""
        with self._lock:
            column = self._columns.setdefault(name, Numbering())
            before = len(column.listed)
            found = column.of(texts)
            self.size += sum(_TEXT_BYTES + len(text) for text in column.listed[before:])
        return narrow(found)

    def texts(self, name: str) -> list[str]:
        """A column's texts in the order of their numbers, as many as there are now."""
        with self._lock:
            return self._columns.setdefault(name, Numbering()).listed[:]
