"""Maintenance windows as their list shows them: those that run or will, and those that are over."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from alerts.events.lists import read_id
from alerts.models import Maintenance
from alerts.quiet import Span, goes_on, next_occurrence
from core.cursors import decode_place, encode_place
from core.errors import NotFoundError
from core.list_query import read_choice, read_text

STATES = {"": "Running and coming", "running": "Running", "planned": "Coming", "over": "Over"}
SORTS = {"starts": "Next first", "-starts": "Last first", "name": "By name"}


@dataclass(frozen=True)
class WantedWindows:
    """What the list is narrowed by and how it is ordered."""

    q: str = ""
    state: str = ""
    project_id: UUID | None = None
    sort: str = "starts"
    after: str = ""

    @property
    def is_filtered(self) -> bool:
        return any((self.q, self.state, self.project_id, self.after))


@dataclass(frozen=True)
class WindowRow:
    """A window and its running or next turn; None: over."""

    window: Maintenance
    span: Span | None
    state: str

    @property
    def shown(self) -> Span:
        """What to show of it: the turn, or the last there was."""
        return self.span or (self.window.starts_at, self.window.ends_at)


def read_wanted(query: Mapping[str, Any]) -> WantedWindows:
    """Raises DomainError naming the parameter, its value and what is allowed."""
    return WantedWindows(
        q=read_text(query, "q"),
        state=read_choice(query, "state", tuple(STATES)),
        project_id=read_id(query, "project"),
        sort=read_choice(query, "sort", tuple(SORTS)) or "starts",
        after=str(query.get("after", "")),
    )


def listed(
    organization_id: UUID, wanted: WantedWindows, *, now: dt.datetime, limit: int
) -> tuple[list[WindowRow], str]:
    """Rows and the place after them (empty: no more). One query.

    A repeated window's turn is no column: all that match are read (those not over are 200 at most, of those that are
    over the last 1,000) and cut here.
    """
    found = [_row(one, now) for one in _matching(organization_id, wanted, now)]
    if wanted.state:
        found = [one for one in found if one.state == wanted.state]
    sort = wanted.sort
    places = sorted(
        ((_place(one, sort), str(one.window.pk), one) for one in found),
        key=lambda one: one[:2],
        reverse=sort.startswith("-"),
    )
    if wanted.after:
        kind = str if sort == "name" else dt.datetime
        mark = decode_place(wanted.after, sort=sort, kind=kind)
        is_down = sort.startswith("-")
        places = [one for one in places if (one[:2] < mark if is_down else one[:2] > mark)]
    rows = [row for *_, row in places[:limit]]
    return rows, encode_place(sort, *places[limit - 1][:2]) if len(places) > limit else ""


def _matching(
    organization_id: UUID, wanted: WantedWindows, now: dt.datetime
) -> Sequence[Maintenance]:
    rows = Maintenance.objects.filter(organization_id=organization_id)
    rows = rows.exclude(goes_on(now)) if wanted.state == "over" else rows.filter(goes_on(now))
    if wanted.project_id:
        rows = rows.filter(project_id=wanted.project_id)
    if wanted.q:
        rows = rows.filter(Q(name__icontains=wanted.q) | Q(project__name__icontains=wanted.q))
    return list(_shown(rows).order_by("-ends_at", "-pk")[:1000])


def _shown(rows: QuerySet[Maintenance]) -> QuerySet[Maintenance]:
    return rows.select_related("project", "author")


def _place(row: WindowRow, sort: str) -> Any:
    return row.window.name.casefold() if sort == "name" else row.shown[0]


def _row(window: Maintenance, now: dt.datetime) -> WindowRow:
    span = next_occurrence(window, now)
    state = "over" if span is None else "running" if span[0] <= now else "planned"
    return WindowRow(window, span, state)


def window_of(organization_id: UUID, window_id: UUID, now: dt.datetime) -> WindowRow:
    """One window with its turn. One query. Raises NotFoundError."""
    rows = _shown(Maintenance.objects.filter(organization_id=organization_id, pk=window_id))
    found = rows.first()
    if found is None:
        raise NotFoundError("There is no such maintenance window, or it was deleted.")
    return _row(found, now)
