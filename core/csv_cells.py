"""CSV that is streamed and opened in spreadsheets (pure)."""

from typing import TypeVar

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
