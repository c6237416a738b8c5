"""How one reader wants figures and times written: separators and a time zone, for as long as their request is answered.

Pure. `core.formats` asks `current()`; whoever answers a person (the middleware, a live page) says who that is with
`reading_as`. Programs (API, CSV) never pass through here.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

# Thousands and decimal separator, by the example people choose from.
NUMBER_STYLES = {
    "1,234.56": (",", "."),
    "1.234,56": (".", ","),
    "1 234,56": ("\u202f", ","),
    "1’234.56": ("’", "."),
}


@dataclass(frozen=True)
class Reader:
    """`zone` is None until the person chose one: the server then writes UTC and the browser its own."""

    group: str = ","
    decimal: str = "."
    zone: tzinfo | None = None

    @property
    def is_plain(self) -> bool:
        return self.decimal == "." and self.group == ","

    def write(self, number: str) -> str:
        """A number as `core.formats` makes it (`12,847.32`), with the reader's separators."""
        if self.is_plain:
            return number
        return number.translate({ord(","): self.group, ord("."): self.decimal})


ANYONE = Reader()
_who: ContextVar[Callable[[], Reader] | None] = ContextVar("llmlab_reader", default=None)


def current() -> Reader:
    """Whom the text being made is for."""
    ask = _who.get()
    return ANYONE if ask is None else ask()


def zone() -> tzinfo:
    """The reader's zone, UTC without one."""
    return current().zone or UTC


@contextmanager
def reading_as(ask: Callable[[], Reader]) -> Iterator[None]:
    """Everything formatted inside is for the reader that `ask` gives; it is asked only when something is formatted."""
    token = _who.set(ask)
    try:
        yield
    finally:
        _who.reset(token)


@lru_cache(maxsize=512)
def reader(number_style: str, time_zone: str) -> Reader:
    """The reader with these settings; unknown ones (an old zone name) count as not chosen."""
    group, decimal = NUMBER_STYLES.get(number_style, NUMBER_STYLES["1,234.56"])
    try:
        chosen = ZoneInfo(time_zone) if time_zone else None
    except (ZoneInfoNotFoundError, ValueError):
        chosen = None
    return Reader(group, decimal, chosen)


@lru_cache(maxsize=1)
def time_zones() -> tuple[str, ...]:
    """Every zone a person can choose, by name: areas and cities, no legacy aliases of three letters."""
    return tuple(
        sorted(
            name
            for name in available_timezones()
            if name == "UTC"
            or ("/" in name and not name.startswith(("Etc/", "SystemV/", "posix/", "right/")))
        )
    )
