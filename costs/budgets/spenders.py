"""What spends a budget, and what there is to make a budget for: from daily and hourly sums, for teams by rules from
the explorer's facts."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from core.ranges import DAY, floor
from costs.allocation.teams import matcher
from costs.budgets.scopes import slot_of
from costs.budgets.sums import Amount
from costs.budgets.teams import MEASURES, amount_of
from costs.explorer.ask import Question, answer
from costs.models import BY_FIELDS
from costs.selectors.source import fetch
from projects.models import Project

TOP = 8
KNOWN = 25
# What a budget's calls can be split by → the column of the sums.
_COLUMNS = {"project": "''", "model": "a.model", "agent": "a.agent", "user": "a.value"}


@dataclass(frozen=True)
class Spender:
    """One value of what was split by, in one project."""

    project_id: UUID
    value: str
    amount: Amount


@dataclass(frozen=True)
class Spenders:
    """The dearest, and how many there are."""

    rows: list[Spender]
    count: int


def splits_of(budget: Any) -> list[str]:
    """What the budget's calls can be split by: users only where every call is counted (the sums keep no pairs)."""
    slot, found = slot_of(budget), []
    if budget.project_id is None:
        found.append("project")
    if slot.model is None:
        found.append("model")
    if slot.agent is None:
        found.append("agent")
    if slot.dimension == "all":
        found.append("user")
    return found


def team_spenders(budget: Any, by: str, start: dt.datetime, end: dt.datetime) -> Spenders:
    """As `spenders_of`, for a team that rules find. One query, and those of `costs.explorer.ask.answer`."""
    if start >= end:
        return Spenders([], 0)
    shown = Project.objects.filter(organization_id=budget.organization_id)
    shown = shown.filter(pk=budget.project_id) if budget.project_id else shown
    asked = Question(
        tuple(shown.values_list("pk", flat=True)),
        start,
        end,
        by=tuple(dict.fromkeys(("project", by))),
        filters=(("team", (budget.value,)),),
        measures=MEASURES,
        limit=TOP,
    )
    said = answer(asked)
    return Spenders(
        [
            Spender(UUID(row.key[0]), row.key[-1] if by != "project" else "", amount_of(row))
            for row in said.groups
            if row.key
        ],
        said.group_count,
    )


def spenders_of(budget: Any, by: str, start: dt.datetime, end: dt.datetime) -> Spenders:
    """The dearest models, agents, users or projects of a budget between two hour borders. One query."""
    slot = slot_of(budget)
    dimension = "user" if by == "user" else slot.dimension
    has_fields = by in ("model", "agent") or slot.model is not None or slot.agent is not None
    daily = dimension + (BY_FIELDS if dimension != "all" and has_fields else "")
    value = None if by == "user" else slot.value
    selects, params = [], []
    for table, name, first, last in _parts(daily, dimension, start, end):
        selects.append(_SPENDERS.format(table=table, column=_COLUMNS[by]))
        params += [budget.organization_id, budget.project_id, budget.project_id, name, first, last,
                   value, value, slot.model, slot.model, slot.agent, slot.agent]  # fmt: skip
    if not selects:
        return Spenders([], 0)
    sql = f"""SELECT project_id, g, sum(cost_usd), sum(calls)::bigint, sum(unpriced_calls)::bigint, count(*) OVER ()
      FROM ({" UNION ALL ".join(selects)}) s GROUP BY 1, 2 HAVING sum(calls) > 0
      ORDER BY sum(cost_usd) DESC, sum(calls) DESC, 2 LIMIT %s"""  # noqa: S608
    rows = fetch(sql, [*params, TOP])
    return Spenders(
        [Spender(project, name, Amount(*sums)) for project, name, *sums, _ in rows],
        rows[0][-1] if rows else 0,
    )


_SPENDERS = """
SELECT a.project_id, {column} AS g, a.cost_usd, a.calls, a.unpriced_calls
FROM (SELECT id AS project_id FROM projects_project WHERE organization_id = %s AND (%s::uuid IS NULL OR id = %s)) p
JOIN {table} a ON a.project_id = p.project_id
WHERE a.dimension = %s AND a.hour >= %s AND a.hour < %s AND (%s::text IS NULL OR a.value = %s)
  AND (%s::text IS NULL OR a.model = %s) AND (%s::text IS NULL OR a.agent = %s)
"""


def _parts(
    daily: str, hourly: str, start: dt.datetime, end: dt.datetime
) -> list[tuple[str, str, dt.datetime, dt.datetime]]:
    first, last = floor(start + DAY - dt.timedelta(microseconds=1), "day"), floor(end, "day")
    hours, days = "costs_costaggregate", "costs_costdailyaggregate"
    if first >= last:
        return [(hours, hourly, start, end)] if start < end else []
    found = [(hours, hourly, start, first), (days, daily, first, last), (hours, hourly, last, end)]
    return [part for part in found if part[2] < part[3]]


_KNOWN = """
SELECT kind, value FROM (
  SELECT kind, value, row_number() OVER (PARTITION BY kind ORDER BY sum(cost_usd) DESC, value) AS place
  FROM (
    SELECT v.kind, v.value, a.cost_usd
    FROM (SELECT id AS project_id FROM projects_project WHERE organization_id = %s) p
    JOIN costs_costdailyaggregate a ON a.project_id = p.project_id
    CROSS JOIN LATERAL (VALUES ('model', a.model), ('agent', a.agent)) AS v(kind, value)
    WHERE a.dimension = 'all' AND a.hour >= %s AND a.hour < %s
    UNION ALL
    SELECT CASE WHEN a.dimension = 'tag' AND a.value LIKE 'team:_%%' THEN 'team' WHEN a.dimension = 'api_key'
        THEN 'key' ELSE a.dimension END,
      CASE WHEN a.dimension = 'tag' AND a.value LIKE 'team:_%%' THEN substr(a.value, 6) ELSE a.value END, a.cost_usd
    FROM (SELECT id AS project_id FROM projects_project WHERE organization_id = %s) p
    JOIN costs_costdailyaggregate a ON a.project_id = p.project_id
    WHERE a.dimension = ANY(%s) AND a.hour >= %s AND a.hour < %s
  ) one WHERE value <> '' GROUP BY kind, value
) ranked WHERE place <= %s ORDER BY kind, place
"""


def known_values(organization_id: UUID, now: dt.datetime) -> dict[str, list[str]]:
    """The dearest models, agents, teams, tags, users and API keys of the last 30 days, by scope, and the teams
    that rules name. Three queries."""
    end = floor(now, "day") + DAY
    days = [end - 30 * DAY, end]
    rows: Sequence[Any] = fetch(
        _KNOWN, [organization_id, *days, organization_id, ["user", "tag", "api_key"], *days, KNOWN]
    )
    found: dict[str, list[str]] = {}
    for kind, value in rows:
        found.setdefault(kind, []).append(value)
    ruled = [rule.team for rule in matcher(organization_id).rules]
    if ruled:
        found["team"] = list(dict.fromkeys([*ruled, *found.get("team", [])]))
    return found
