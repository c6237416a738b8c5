"""What can be exported: the domains' sources, by kind."""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from accounts.models import Organization
from core.errors import DomainError
from projects.models import Project

# `decimal` (twelve decimals) and `amount` (eighteen) are strings with every digit; `list` and `json` are JSON in CSV
# cells.
ColumnType = Literal[
    "text", "integer", "number", "decimal", "amount", "boolean", "time", "list", "json"
]
Row = Sequence[Any]
# A cursor may carry `done`: how much of `count` is read, where rows are not what is counted.
Cursor = dict[str, Any] | None
# Whose data it is: a project's lists, or an organisation's costs.
Owner = Project | Organization


@dataclass(frozen=True)
class Column:
    name: str
    type: ColumnType


@dataclass(frozen=True)
class Request:
    """What is asked for: a list's query string, or ids chosen by hand. `now` fixes relative ranges."""

    query: str = ""
    ids: tuple[str, ...] = ()
    with_payloads: bool = False
    # CSV for programs: text stays as it is. Otherwise what a spreadsheet would run as a formula gets an apostrophe.
    is_machine: bool = False
    now: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))


class ReadRows(Protocol):
    """Up to `limit` rows after `cursor` (None: from the start) and the next cursor (None: that was all).

    Keyset reads only: the job calls it thousands of times and memory must stay flat. `owner` is a project, or an
    organisation for sources that say so; the rows are taken once, at once, and may be made while they are.
    """

    def __call__(
        self, owner: Any, request: Request, cursor: Cursor, limit: int, /
    ) -> tuple[Iterable[Row], Cursor]: ...


class CountRows(Protocol):
    """How many rows there will be, for the progress bar; 0 when counting would cost too much. Raises DomainError for a
    query that cannot be read, before a job is made."""

    def __call__(self, owner: Any, request: Request, /) -> int: ...


@dataclass(frozen=True)
class Section:
    """One file of an export: its name without a suffix, and what is in it."""

    name: str
    query: str


@dataclass(frozen=True)
class Source:
    """One kind of list."""

    kind: str
    label: str
    columns: tuple[Column, ...]
    read: ReadRows
    count: CountRows
    # Added when inputs and outputs are asked for; empty: the list has none.
    payload_columns: tuple[Column, ...] = ()
    # Whether a query may say `range`; the exports page offers one then.
    has_range: bool = True
    # An organisation's, not a project's.
    is_organization: bool = False
    # Whether rows may name persons: such files go when a person's data is deleted.
    holds_persons: bool = True
    # Columns that depend on the request.
    columns_by: Callable[[Request], tuple[Column, ...]] | None = None
    # Several files (by month, by day); without it one, named as the kind.
    sections: Callable[[Any, Request], list[Section]] | None = None
    # A file beside each section's: (owner, the section's request, its rows) → name and content.
    side_file: Callable[[Any, Request, int], tuple[str, bytes]] | None = None

    def columns_for(self, request: Request) -> tuple[Column, ...]:
        if self.columns_by is not None:
            return self.columns_by(request)
        return self.columns + (self.payload_columns if request.with_payloads else ())


_SOURCES: dict[str, Source] = {}
# Kinds of jobs whose files this package keeps and removes.
JOB_KINDS: set[str] = set()


def register(source: Source) -> None:
    """Offer a list for export."""
    _SOURCES[source.kind] = source


def sources(*, of_organization: bool = False) -> list[Source]:
    """Everything that can be exported, by label."""
    found = [one for one in _SOURCES.values() if one.is_organization == of_organization]
    return sorted(found, key=lambda source: source.label)


def source_of(kind: str, *, of_organization: bool = False) -> Source:
    """Raises DomainError naming what there is."""
    source = _SOURCES.get(kind)
    if source is None or source.is_organization != of_organization:
        kinds = sorted(one.kind for one in sources(of_organization=of_organization))
        raise DomainError(f"kind={kind[:40]!r} must be one of {', '.join(kinds)}.", fields=["kind"])
    return source


def kinds_with_persons() -> list[str]:
    """Organisations' sources whose rows may name persons."""
    return [one.kind for one in sources(of_organization=True) if one.holds_persons]
