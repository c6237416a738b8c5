"""Reads about limits: the list and how far each is, the busiest subjects of one."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models.functions import Lower

from core.cursors import InvalidCursorError, decode_place, encode_place
from core.errors import NotFoundError
from core.list_query import read_choice, read_text
from gateway.models import Limit, LimitMetric, LimitScope, LimitWindow
from gateway.quotas.windows import window_end, window_start
from projects.access import parse_uuid
from projects.models import ApiKey, Project

PAGE = 50
BUSIEST = 50
ZERO = Decimal(0)
SCOPES = {"": "Every scope"} | dict(LimitScope.choices)
METRICS = {"": "Everything counted"} | dict(LimitMetric.choices)
STATES = {
    "": "Any state", "full": "Full", "warning": "From 80 %", "paused": "Paused", "hard": "Hard", "soft": "Soft",
}  # fmt: skip
SORTS = {
    "name": "By name",
    "-name": "By name, backwards",
    "-used": "Fullest first",
    "-created": "Newest first",
}
WARNING = Decimal("0.8")
_WINDOWS = dict(LimitWindow.choices)
# Keys are ids in hex and what follows: all between one id and the next, in any collation.
_COUNTERS = """
SELECT l.place, c.key, c.used, c.reserved, c.subjects
FROM unnest(%s::int[], %s::text[], %s::text[], %s::timestamptz[]) AS l(place, first, until, start)
CROSS JOIN LATERAL (
  SELECT c.key, c.used, c.reserved, count(*) OVER () AS subjects FROM gateway_limitcounter c
  WHERE c.organization_id = %s AND c.key > l.first AND c.key < l.until AND c.window_start = l.start
    AND c.used + c.reserved > 0
  ORDER BY c.used + c.reserved DESC, c.key LIMIT %s
) c ORDER BY 1, c.used + c.reserved DESC, 2
"""


@dataclass(frozen=True)
class Asked:
    """What the list is narrowed by and how it is ordered; checked by `read_asked`."""

    q: str = ""
    scope: str = ""
    metric: str = ""
    state: str = ""
    sort: str = "name"
    after: str = ""

    @property
    def is_filtered(self) -> bool:
        return bool(self.q or self.scope or self.metric or self.state or self.after)


@dataclass(frozen=True)
class Usage:
    """One subject in the running window."""

    subject: str
    label: str
    used: Decimal
    reserved: Decimal
    amount: Decimal

    @property
    def taken(self) -> Decimal:
        return self.used + self.reserved

    @property
    def left(self) -> Decimal:
        return max(ZERO, self.amount - self.taken)

    @property
    def share(self) -> Decimal:
        return self.taken / self.amount

    @property
    def widths(self) -> tuple[str, str, str]:
        """Of a bar: what is used, and from where to where what is set aside is, in percent."""
        used = min(self.used / self.amount, Decimal(1))
        aside = min(self.reserved / self.amount, 1 - used)
        return f"{used:.2%}", f"{used:.2%}", f"{aside:.2%}"

    @property
    def tone(self) -> str:
        return "bad" if self.share >= 1 else "warn" if self.share >= WARNING else ""


@dataclass(frozen=True)
class Row:
    """A limit now: its busiest subjects, the first one shown in lists, and how many there are."""

    limit: Limit
    now: dt.datetime
    key_name: str = ""
    busiest: list[Usage] = field(default_factory=list)
    subjects: int = 0

    @cached_property
    def top(self) -> Usage:
        return self.busiest[0] if self.busiest else Usage("", "", ZERO, ZERO, self.limit.amount)

    @property
    def is_each(self) -> bool:
        """Whether each subject is counted on its own."""
        return self.limit.scope != LimitScope.ORGANIZATION and not self.limit.value

    @property
    def state(self) -> str:
        """paused, full, warning or ok, of its busiest subject."""
        if self.limit.is_paused:
            return "paused"
        return {"bad": "full", "warn": "warning"}.get(self.top.tone, "ok")

    @property
    def resets_at(self) -> dt.datetime | None:
        return window_end(self.limit.window, window_start(self.limit.window, self.now))

    @property
    def scope_words(self) -> str:
        """`Each user on its own in Support`, `Tag batch`, `Whole organisation`."""
        limit = self.limit
        where = f" in {limit.project.name}" if limit.project else ""
        if limit.scope == LimitScope.ORGANIZATION:
            return f"All calls of {limit.project.name}" if limit.project else "Whole organisation"
        if limit.scope == LimitScope.PROJECT and limit.project:
            return f"Project {limit.project.name}"
        label = LimitScope(limit.scope).label
        if limit.value:
            return f"{label} {self.key_name or limit.value}{where}"
        name = label if label.isupper() or label.startswith("API") else label.lower()
        return f"Each {name} on its own{where}"

    @property
    def per(self) -> str:
        """`a day`; `an hour`; `at once`."""
        window = self.limit.window
        if not window:
            return "at once"
        return f"an {window}" if window == LimitWindow.HOUR else f"a {window}"


def read_asked(query: Mapping[str, Any]) -> Asked:
    """Raises DomainError naming field, value and rule."""
    return Asked(
        read_text(query, "q"),
        read_choice(query, "scope", SCOPES),
        read_choice(query, "metric", METRICS),
        read_choice(query, "state", STATES),
        read_choice(query, "sort", SORTS) or "name",
        str(query.get("after", "")),
    )


def chosen(organization_id: UUID, asked: Asked, *, now: dt.datetime) -> list[Row]:
    """Every limit that fits, in order; there are at most 200. Three queries, fewer without limits or keys."""
    found = Limit.objects.filter(organization_id=organization_id).select_related("project")
    if asked.q:
        found = found.filter(name__icontains=asked.q) | found.filter(value__icontains=asked.q)
    if asked.scope:
        found = found.filter(scope=asked.scope)
    if asked.metric:
        found = found.filter(metric=asked.metric)
    rows = rows_of(list(found.order_by(Lower("name"), "pk")), now=now)
    if asked.state in ("hard", "soft"):
        rows = [row for row in rows if row.limit.is_hard is (asked.state == "hard")]
    elif asked.state:
        rows = [row for row in rows if row.state == asked.state]
    if asked.sort == "-name":
        rows.reverse()
    elif asked.sort == "-used":
        rows.sort(key=lambda row: row.top.share, reverse=True)
    elif asked.sort == "-created":
        rows.sort(key=lambda row: row.limit.created_at, reverse=True)
    return rows


def listed(
    organization_id: UUID, asked: Asked, *, now: dt.datetime, limit: int = PAGE
) -> tuple[list[Row], str]:
    """A page of rows and the cursor of the next ("": no more). Queries as `chosen`."""
    rows = chosen(organization_id, asked, now=now)
    start = 0
    if asked.after:
        _, last = decode_place(asked.after, sort=asked.sort, kind=str)
        place = next((i for i, row in enumerate(rows) if str(row.limit.pk) == last), None)
        if place is None:
            raise InvalidCursorError(
                "The page cursor leads nowhere any more; start from the first page.",
                fields=["after"],
            )
        start = place + 1
    page = rows[start : start + limit]
    if start + limit >= len(rows):
        return page, ""
    return page, encode_place(asked.sort, "", str(page[-1].limit.pk))


def limit_of(organization_id: UUID, limit_id: UUID) -> Limit:
    """With its project and who made it. One query. Raises NotFoundError."""
    row = (
        Limit.objects.select_related("organization", "project", "created_by")
        .filter(organization_id=organization_id, pk=limit_id)
        .first()
    )
    if row is None:
        raise NotFoundError("There is no such limit in this organisation.")
    return row


def rows_of(limits: Sequence[Limit], *, now: dt.datetime, busiest: int = 1) -> list[Row]:
    """How far each is. One query, none without limits; two more where keys or projects have names."""
    if not limits:
        return []
    starts = [window_start(one.window, now) for one in limits]
    with connection.cursor() as cursor:
        cursor.execute(
            _COUNTERS,
            [
                list(range(len(limits))),
                [one.pk.hex for one in limits],
                [f"{one.pk.int + 1:032x}" for one in limits],
                starts,
                limits[0].organization_id,
                busiest,
            ],
        )
        found = cursor.fetchall()
    names = _names(limits, [(limits[place], key[33:]) for place, key, *_ in found])
    by_place: dict[int, list[Usage]] = {}
    subjects: dict[int, int] = {}
    for place, key, used, reserved, count in found:
        limit, subject = limits[place], key[33:]
        label = names.get(subject, subject) if limit.scope in ("key", "project") else subject
        usage = Usage(subject, label, used, reserved, limit.amount)
        by_place.setdefault(place, []).append(usage)
        subjects[place] = count
    return [
        Row(
            one,
            now,
            names.get(one.value.replace("-", ""), "") if one.scope == LimitScope.KEY else "",
            by_place.get(place, []),
            subjects.get(place, 0),
        )
        for place, one in enumerate(limits)
    ]


def _names(limits: Sequence[Limit], subjects: Sequence[tuple[Limit, str]]) -> dict[str, str]:
    """What keys and projects are called, by id in hex."""
    said = [(one, one.value) for one in limits if one.value]
    wanted = [(limit.scope, parse_uuid(subject)) for limit, subject in [*subjects, *said]]
    projects = Project.objects.filter(organization_id=limits[0].organization_id)
    names: dict[str, str] = {}
    if ids := {uid for scope, uid in wanted if uid and scope == LimitScope.PROJECT}:
        found = projects.filter(pk__in=ids).values_list("pk", "name")
        names |= {pk.hex: name for pk, name in found}
    if ids := {uid for scope, uid in wanted if uid and scope == LimitScope.KEY}:
        keys = ApiKey.objects.filter(pk__in=ids, project__in=projects).values_list("pk", "name")
        names |= {pk.hex: name for pk, name in keys}
    return names


def projects_to_choose(organization_id: UUID) -> list[Project]:
    """By name. One query."""
    rows = Project.objects.filter(organization_id=organization_id)
    return list(rows.exclude(status=Project.Status.DELETING).order_by(Lower("name"), "pk"))


def keys_to_choose(organization_id: UUID) -> list[tuple[str, str]]:
    """(id, `Project · key`) of keys that work. One query."""
    projects = Project.objects.filter(organization_id=organization_id)
    rows = ApiKey.objects.filter(project__in=projects, revoked_at=None).values_list(
        "pk", "project__name", "name"
    )
    ordered = rows.order_by("project__name", "name", "pk")[:500]
    return [(str(pk), f"{project} · {name}") for pk, project, name in ordered]
