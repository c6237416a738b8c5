"""What can be exported: the domains' sources, by kind."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from core.errors import DomainError
from projects.models import Project

# `decimal` values are strings with every digit; `list` and `json` are JSON in CSV cells.
ColumnType = Literal["text", "integer", "number", "decimal", "boolean", "time", "list", "json"]
Row = Sequence[Any]
Cursor = dict[str, Any] | None


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
    now: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))


class ReadRows(Protocol):
    """Up to `limit` rows after `cursor` (None: from the start) and the next cursor (None: that was all).

    Keyset reads only: the job calls it thousands of times and memory must stay flat.
    """

    def __call__(
        self, project: Project, request: Request, cursor: Cursor, limit: int
    ) -> tuple[list[Row], Cursor]: ...


class CountRows(Protocol):
    """How many rows there will be, for the progress bar; 0 when counting would cost too much. Raises DomainError for a
    query that cannot be read, before a job is made."""

    def __call__(self, project: Project, request: Request) -> int: ...


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

    def columns_for(self, request: Request) -> tuple[Column, ...]:
        return self.columns + (self.payload_columns if request.with_payloads else ())


_SOURCES: dict[str, Source] = {}


def register(source: Source) -> None:
    """Offer a list for export."""
    _SOURCES[source.kind] = source


def sources() -> list[Source]:
    """Everything that can be exported, by label."""
    return sorted(_SOURCES.values(), key=lambda source: source.label)


def source_of(kind: str) -> Source:
    """Raises DomainError naming what there is."""
    if kind not in _SOURCES:
        raise DomainError(
            f"kind={kind[:40]!r} must be one of {', '.join(sorted(_SOURCES))}.", fields=["kind"]
        )
    return _SOURCES[kind]
