"""CSV that is streamed and opened in spreadsheets (pure)."""

import csv
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, TypeVar

from core.formats import plain_decimal

_FORMULA = ("=", "+", "-", "@", "|", "%")
T = TypeVar("T")


class Echo:
    """A file that hands back what is written to it: `csv.writer(Echo()).writerow` returns the line."""

    def write(self, text: str) -> str:
        return text


def inert(value: T) -> T | str:
    """Text a spreadsheet would run as a formula gets an apostrophe in front; anything else stays as it is."""
    if not isinstance(value, str):
        return value
    is_run = value[:1] in ("\t", "\r") or value.lstrip()[:1] in _FORMULA
    return f"'{value}" if value and is_run else value


def csv_lines(rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Each row as a line: texts made inert, a Decimal in plain digits (its minus is no formula), None as nothing."""
    write = csv.writer(Echo()).writerow
    for row in rows:
        yield write(
            [plain_decimal(cell) if isinstance(cell, Decimal) else inert(cell) for cell in row]
        )
