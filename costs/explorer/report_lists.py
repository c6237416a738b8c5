"""The list of saved reports: filtered, sorted, cut into pages."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Lower
from django.http import QueryDict
from django.urls import reverse

from accounts.models import User
from core.cursors import decode_place, encode_place
from core.errors import DomainError
from core.ranges import PRESETS
from costs.explorer.dimensions import DIMENSIONS
from costs.explorer.measures import MEASURES
from costs.explorer.page_state import OPENING
from costs.explorer.query import DEFAULT_MEASURES, DEFAULT_RANGE
from costs.explorer.reports import reports_of
from costs.exporting.forms import WEEKDAYS
from costs.models import CostReport, ReportSchedule

SORTS = {"name": "Name", "-changed": "Changed last", "changed": "Changed first"}
WHOSE = {"": "Mine and shared", "mine": "Mine", "shared": "Shared"}
PAGE = 50


@dataclass(frozen=True)
class Wanted:
    """What the list is asked for."""

    q: str = ""
    whose: str = ""
    sort: str = "name"
    after: str = ""


@dataclass(frozen=True)
class ReportRow:
    """One report as it is listed."""

    report: CostReport
    words: str
    href: str
    when: str
    may_change: bool


def read_wanted(query: Mapping[str, Any]) -> Wanted:
    """The filters of an address. Raises DomainError naming field, value and rule."""
    q = str(query.get("q", "")).strip()
    if len(q) > 200 or "\x00" in q:
        raise DomainError("q has at most 200 characters and no NUL.", fields=["q"])
    found = {"whose": str(query.get("whose", "")), "sort": str(query.get("sort", "")) or "name"}
    for name, allowed in (("whose", WHOSE), ("sort", SORTS)):
        if found[name] not in allowed:
            words = ", ".join(one for one in allowed if one)
            raise DomainError(
                f"{name} is {found[name][:40]!r}; it must be one of {words}.", fields=[name]
            )
    return Wanted(q, found["whose"], found["sort"], str(query.get("after", "")))


def listed(
    organization_id: UUID, user: User, wanted: Wanted, *, limit: int = PAGE
) -> tuple[list[CostReport], str]:
    """A page of reports, and where the next one begins ("": no more). One query."""
    rows = reports_of(organization_id, user)
    if wanted.q:
        rows = rows.filter(name__icontains=wanted.q)
    if wanted.whose:
        rows = rows.filter(author=user) if wanted.whose == "mine" else rows.filter(is_shared=True)
    rows = rows.annotate(lower=Lower("name"))
    page = list(_ordered(rows, wanted)[: limit + 1])
    if len(page) <= limit:
        return page, ""
    last: Any = page[limit - 1]
    value = last.lower if wanted.sort == "name" else last.updated_at
    return page[:limit], encode_place(wanted.sort, value, str(last.pk))


def _ordered(rows: QuerySet[CostReport], wanted: Wanted) -> QuerySet[CostReport]:
    field = "lower" if wanted.sort == "name" else "updated_at"
    is_down = wanted.sort.startswith("-")
    if wanted.after:
        kind = str if field == "lower" else dt.datetime
        value, key = decode_place(wanted.after, sort=wanted.sort, kind=kind)
        if _uuid(key):
            step = "lt" if is_down else "gt"
            rows = rows.filter(
                Q(**{f"{field}__{step}": value}) | Q(**{field: value, "pk__gt": key})
            )
    order = F(field).desc() if is_down else F(field).asc()
    return rows.order_by(order, "pk")


def _uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def rows_of(reports: list[CostReport], *, slug: str, user: User, is_admin: bool) -> list[ReportRow]:
    """With words and links (no query)."""
    address = reverse("costs:explorer", args=[slug])
    return [
        ReportRow(
            one,
            words_of_query(one.query),
            f"{address}?{one.query}",
            when_of(getattr(one, "schedule", None)),
            is_admin or one.author_id == user.pk,
        )
        for one in reports
    ]


def words_of_query(text: str) -> str:
    """What a stored question asks: `Cost by model and user, last 30 days, 2 filters`."""
    query = QueryDict(text or OPENING)
    measure = (query.get("measures") or DEFAULT_MEASURES[0]).split(",")[0]
    by = [DIMENSIONS.get(one, one) for one in query.getlist("by") if one]
    key = query.get("range") or DEFAULT_RANGE
    filters = sum(len(query.getlist(name)) for name in DIMENSIONS)
    words = MEASURES[measure].label if measure in MEASURES else measure
    if by:
        words += f" by {' and '.join(by).lower().replace('api', 'API')}"
    words += f", {PRESETS[key].lower() if key in PRESETS else 'a fixed range'}"
    return words + (f", {filters} filter{'s' if filters > 1 else ''}" if filters else "")


def when_of(schedule: ReportSchedule | None) -> str:
    """`Mondays at 08:00 (Europe/Berlin)`; empty without a schedule."""
    if schedule is None:
        return ""
    day = {
        "daily": "Every day",
        "weekly": f"{WEEKDAYS[schedule.weekday]}s",
        "monthly": f"Day {schedule.month_day} of each month",
    }[schedule.frequency]
    return f"{day} at {schedule.hour:02}:00 ({schedule.time_zone})"
