"""Budgets as their list shows them: how each stands and where it leads, filtered, sorted and cut into pages."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from core.errors import DomainError
from core.ranges import DAY
from costs.budgets.outlook import PACE_DAYS, Outlook, Pace, outlook_of, pace_of
from costs.budgets.periods import day_of, day_start, period_words
from costs.budgets.scopes import scope_words
from costs.budgets.selectors import (
    Standing,
    amounts,
    budgets_for_project,
    budgets_of,
    part_of,
    standings,
)
from costs.models import Budget, BudgetPeriod, BudgetScope, SeriesKind, SpendForecast
from projects.access import parse_uuid
from projects.models import ApiKey, Project

STATES = {
    "": "Any state",
    "over": "Over the limit",
    "warning": "Past a threshold",
    "ok": "Within",
    "paused": "Paused",
    "planned": "Planned",
    "ended": "Ended",
}
BADGES = {
    "over": ("bad", "circle-alert", "Over"),
    "warning": ("warn", "triangle-alert", "Past {mark}%"),
    "ok": ("good", "circle-check", "Within"),
    "paused": ("", "pause", "Paused"),
    "planned": ("", "calendar", "Planned"),
    "ended": ("", "circle", "Ended"),
}
SORTS = {
    "-share": "Most used",
    "share": "Least used",
    "name": "Name",
    "-amount": "Largest",
    "-spent": "Dearest",
}
PAGE = 50


@dataclass(frozen=True)
class Row:
    """One budget with all a list shows."""

    standing: Standing
    outlook: Outlook
    scope: str

    @property
    def budget(self) -> Budget:
        return self.standing.budget

    @property
    def period(self) -> str:
        return period_words(self.budget)

    @property
    def badge(self) -> tuple[str, str, str]:
        """Tone, icon and words of the state; a running one that will not last is at risk."""
        state = self.standing.state
        if state in ("ok", "warning") and self.outlook.gone_on:
            return "warn", "triangle-alert", "At risk"
        tone, icon, words = BADGES[state]
        return tone, icon, words.format(mark=max(self.standing.crossed, default=0))

    @property
    def tone(self) -> str:
        return {"over": "bad", "warning": "warn"}.get(self.standing.state, "")


@dataclass(frozen=True)
class Wanted:
    """What a list is asked for."""

    q: str = ""
    state: str = ""
    scope: str = ""
    project: str = ""
    sort: str = "-share"
    after: str = ""


def read_wanted(query: Mapping[str, Any]) -> Wanted:
    """The filters of an address. Raises DomainError naming field, value and rule."""
    q = str(query.get("q", "")).strip()
    if len(q) > 200 or "\x00" in q:
        raise DomainError("q has at most 200 characters and no NUL.", fields=["q"])
    after = str(query.get("after", ""))
    if after and parse_uuid(after) is None:
        raise DomainError(f"after is {after[:40]!r}; it must be a budget's id.", fields=["after"])
    project = str(query.get("project", ""))
    if len(project) > 80 or "\x00" in project:
        raise DomainError("project has at most 80 characters and no NUL.", fields=["project"])
    return Wanted(
        q,
        _choice(query, "state", tuple(STATES)),
        _choice(query, "scope", ("", *BudgetScope.values)),
        project,
        _choice(query, "sort", ("", *SORTS)) or "-share",
        after,
    )


def _choice(query: Mapping[str, Any], name: str, allowed: Sequence[str]) -> str:
    value = str(query.get(name, ""))
    if value not in allowed:
        shown = ", ".join(one for one in allowed if one)
        raise DomainError(f"{name} is {value[:40]!r}; it must be one of {shown}.", fields=[name])
    return value


def listed(
    organization_id: UUID, wanted: Wanted, *, now: dt.datetime, limit: int = PAGE
) -> tuple[list[Row], str]:
    """A page of rows, and after which budget the next page begins ("": no more). At most five queries."""
    found = standings(list(_chosen(organization_id, wanted)), now)
    if wanted.state:
        found = [one for one in found if one.state == wanted.state]
    found.sort(key=_key(wanted.sort))
    if wanted.after:
        places = [n for n, one in enumerate(found) if str(one.budget.pk) == wanted.after]
        found = found[places[0] + 1 :] if places else []
    page = found[:limit]
    return rows_of(page), str(page[-1].budget.pk) if len(found) > limit else ""


def _chosen(organization_id: UUID, wanted: Wanted) -> Any:
    rows = budgets_of(organization_id)
    if wanted.q:
        rows = rows.filter(name__icontains=wanted.q) | rows.filter(value__icontains=wanted.q)
    if wanted.scope:
        rows = rows.filter(scope=wanted.scope)
    if wanted.project:
        uid = parse_uuid(wanted.project)
        rows = rows.filter(project_id=uid) if uid else rows.filter(project__slug=wanted.project)
    return rows


def _key(sort: str) -> Any:
    sign = -1 if sort.startswith("-") else 1
    names = {"share": "share", "amount": "limit_usd", "spent": "spent_usd"}
    name = names.get(sort.lstrip("-"))
    # Resting budgets come last: nothing happens to them.
    return lambda one: (
        one.state in ("paused", "ended", "planned") and sort != "name",
        sign * getattr(one, name) if name else 0,
        one.budget.name.lower(),
        str(one.budget.pk),
    )


def rows_of(found: Sequence[Standing]) -> list[Row]:
    """Outlook and words of some budgets. Three queries, none without budgets."""
    if not found:
        return []
    budgets = [one.budget for one in found]
    names, paces = key_names(budgets), paces_of(found)
    return [
        Row(one, outlook_of(one, pace), scope_words(one.budget, key_name=names.get(one.budget.value, "")))
        for one, pace in zip(found, paces, strict=True)
    ]  # fmt: skip


def paces_of(found: Sequence[Standing]) -> list[Pace]:
    """The recent pace of each budget, or its forecast where one was made today. Two queries."""
    parts, forecasts = [], forecasts_of([one.budget for one in found], found[0].at)
    for one in found:
        zone, today = one.budget.time_zone, day_of(one.at, one.budget.time_zone)
        for back in range(PACE_DAYS, 0, -1):
            day = today - back * DAY
            parts.append(part_of(one.budget, day_start(day, zone), day_start(day + DAY, zone)))
    sums = [amount.cost_usd for amount in amounts(parts)]
    paces = []
    for place, one in enumerate(found):
        pace = pace_of(sums[place * PACE_DAYS : (place + 1) * PACE_DAYS])
        paces.append(Pace(pace.daily_usd, pace.days, forecasts.get(str(one.budget.pk), {})))
    return paces


def forecasts_of(budgets: Sequence[Budget], now: dt.datetime) -> dict[str, dict[dt.date, Decimal]]:
    """What each remaining day of the month is forecast to cost, by the id of a monthly budget. One query."""
    monthly = [str(one.pk) for one in budgets if one.period == BudgetPeriod.MONTHLY]
    if not monthly:
        return {}
    rows = SpendForecast.objects.filter(
        organization_id=budgets[0].organization_id,
        kind=SeriesKind.BUDGET,
        value__in=monthly,
        month=now.date().replace(day=1),
        made_at__gte=now - 2 * DAY,
        expected_usd__isnull=False,
    )
    return {
        row.value: {dt.date.fromisoformat(one["day"]): Decimal(one["usd"]) for one in row.path}
        for row in rows
    }


def key_names(budgets: Sequence[Budget]) -> dict[str, str]:
    """The names of the API keys that budgets are for, by id. One query, none without such budgets."""
    ids = [one.value for one in budgets if one.scope == BudgetScope.KEY]
    if not ids:
        return {}
    projects = Project.objects.filter(organization_id=budgets[0].organization_id)
    rows = ApiKey.objects.filter(pk__in=ids, project__in=projects).values_list("pk", "name")
    return {str(pk): name for pk, name in rows}


def rows_for_project(
    organization_id: UUID, project_id: UUID, *, now: dt.datetime, limit: int = 4
) -> list[Row]:
    """The running budgets that a project's calls may count towards, those of all its calls first, then by what is
    used of them. At most five queries."""
    found = [
        one
        for one in standings(budgets_for_project(organization_id, project_id), now)
        if one.is_running
    ]
    whole = (BudgetScope.PROJECT, BudgetScope.ORGANIZATION)
    found.sort(key=lambda one: (one.budget.scope not in whole, -one.share, one.budget.name))
    return rows_of(found[:limit])
