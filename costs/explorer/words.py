"""A project's texts as numbers, one numbering for all its days, so that days lie behind one another as they are.

Lists of tags are numbered as a whole; what follows from a list (its tags, its customer) is worked out once per list.
"""

import threading
from collections.abc import Callable, Hashable, Sequence
from itertools import islice
from typing import Any

import msgspec
import numpy as np

from costs.explorer.packing import narrow

# Roughly what a text takes, its number included.
_TEXT_BYTES = 200
TAGS = "tags"
# Rules for teams change; what older ones said goes.
_DERIVED = 4


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


class TagLists:
    """The tags of each list of tags, numbered, one list behind the other. A list without tags has the tag ""."""

    def __init__(self) -> None:
        self.tags = Numbering()
        self.starts: Any = np.zeros(0, dtype=np.int64)
        self.sizes: Any = np.zeros(0, dtype=np.int64)
        self.items: Any = np.zeros(0, dtype=np.int64)

    def grow(self, lists: Sequence[str]) -> None:
        """Know the lists beyond those that are known; each is JSON."""
        decode = msgspec.json.Decoder(list[str]).decode
        parsed = [sorted(set(decode(text))) or [""] for text in lists[len(self.sizes) :]]
        if not parsed:
            return
        flat = self.tags.of([tag for tags in parsed for tag in tags])
        self.sizes = np.append(self.sizes, [len(tags) for tags in parsed])
        self.items = np.concatenate([self.items, flat])
        self.starts = np.cumsum(self.sizes) - self.sizes

    def of(self, number: int) -> list[str]:
        """The tags of a list, in order."""
        start = int(self.starts[number])
        found = [
            self.tags.listed[tag] for tag in self.items[start : start + int(self.sizes[number])]
        ]
        return [tag for tag in found if tag]


class Words:
    """The numberings of a project. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._columns: dict[str, Numbering] = {}
        self._lists = TagLists()
        self._derived: dict[Hashable, tuple[Any, list[str]]] = {}
        self.size = 0

    def number(self, name: str, texts: Sequence[str]) -> Any:
        """Numbers of a column's texts, in the narrowest type."""
        with self._lock:
            column = self._columns.setdefault(name, Numbering())
            before = len(column.listed)
            found = column.of(texts)
            new = column.listed[before:]
            self.size += _TEXT_BYTES * len(new) * (2 if name == TAGS else 1)
            self.size += sum(map(len, new))
        return narrow(found)

    def texts(self, name: str) -> list[str]:
        """A column's texts in the order of their numbers. It may grow meanwhile, never change."""
        with self._lock:
            return self._columns.setdefault(name, Numbering()).listed

    def lists(self) -> TagLists:
        """The known lists of tags. What it held is replaced, not changed, when it grows."""
        with self._lock:
            self._lists.grow(self.texts(TAGS))
            found = TagLists()
            found.__dict__.update(self._lists.__dict__)
            return found

    def derived(
        self, key: Hashable, make: Callable[[TagLists], tuple[Any, list[str]]]
    ) -> tuple[Any, list[str]]:
        """What `make` says of the known lists of tags: a code for each, and the texts behind the codes. Remembered
        under the key until lists are added."""
        with self._lock:
            lists = self.lists()
            found = self._derived.get(key)
            if found is None or len(found[0]) < len(lists.sizes):
                self._derived.pop(key, None)
                found = self._derived[key] = make(lists)
                if len(self._derived) > _DERIVED:
                    self._derived.pop(next(iter(self._derived)))
            return found
