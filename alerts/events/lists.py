"""What an address asks of a list of incidents, read once for pages, CSV and the API (no database)."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from alerts.models import AlertKind, EventState, Severity
from core.errors import DomainError
from core.list_query import read_choice, read_text
from core.ranges import TimeRange, parse_range
from projects.access import parse_uuid

OPEN = "open"
STATES = {"": "Any state", OPEN: "Not resolved", **dict(EventState.choices)}
OPEN_STATES = {"": "Any state"} | {
    value: label for value, label in EventState.choices if value != EventState.RESOLVED
}
SEVERITIES = {"": "Any severity"} | dict(reversed(Severity.choices))
KINDS = {"": "Every kind"} | dict(AlertKind.choices)
SORTS = ("-fired", "fired", "-severity", "severity", "title", "-title")
URGENT = "-urgent"
FIRING_SORTS = {
    URGENT: "Most urgent first",
    "-fired": "Newest first",
    "fired": "Oldest first",
    "title": "By title",
}
RANGE = "30d"


@dataclass(frozen=True)
class Asked:
    """What a list is narrowed by and how it is ordered; every part was checked by `read_asked`."""

    state: str = ""
    severity: str = ""
    kind: str = ""
    project_id: UUID | None = None
    alert_id: UUID | None = None
    q: str = ""
    range: TimeRange | None = None
    sort: str = "-fired"
    after: str = ""

    @property
    def is_filtered(self) -> bool:
        """Whether anything besides the time range is left out."""
        parts = (self.state, self.severity, self.kind, self.project_id, self.alert_id, self.q)
        return any(parts) or bool(self.after)


def read_asked(
    query: Mapping[str, Any],
    *,
    now: dt.datetime,
    states: Sequence[str] = tuple(STATES),
    sorts: Sequence[str] = SORTS,
    default_range: str = RANGE,
) -> Asked:
    """The first of `sorts` holds when none is asked for; without `default_range` a list has no range unless one is
    given. Raises DomainError naming the parameter, its value and what is allowed."""
    span = str(query.get("range", "")) or default_range
    return Asked(
        state=read_choice(query, "state", states),
        severity=read_choice(query, "severity", tuple(SEVERITIES)),
        # Operators' checks have kinds of their own; the names of rules are all there is to ask for here.
        kind=read_choice(query, "kind", tuple(KINDS)),
        project_id=read_id(query, "project"),
        alert_id=read_id(query, "rule"),
        q=read_text(query, "q"),
        range=parse_range(span, now=now) if span else None,
        sort=read_choice(query, "sort", ("", *sorts)) or sorts[0],
        after=str(query.get("after", "")),
    )


def read_id(query: Mapping[str, Any], name: str) -> UUID | None:
    """An id, or None for nothing. Raises DomainError."""
    text = str(query.get(name, ""))
    found = parse_uuid(text) if text else None
    if text and found is None:
        raise DomainError(f"{name} is {text[:40]!r}; it must be a {name}'s id.", fields=[name])
    return found
