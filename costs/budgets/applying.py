"""Which budgets a call counts towards, and what the strictest of them leaves: what the gateway and the SDKs read."""

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from uuid import UUID

from core.ranges import floor
from costs.allocation.teams import Matcher
from costs.budgets.overview import Row, rows_of
from costs.budgets.scopes import Call, counts
from costs.budgets.selectors import Standing, budgets_for_project, standings
from costs.budgets.teams import rules_for
from costs.selectors.source import fetch

_MARK = """
SELECT (SELECT count(*) FROM costs_budget WHERE organization_id = %s),
  (SELECT max(updated_at) FROM costs_budget WHERE organization_id = %s),
  (SELECT sum(version) FROM costs_projectusage u
    WHERE u.project_id IN (SELECT id FROM projects_project WHERE organization_id = %s)),
  (SELECT count(*) FROM projects_project WHERE organization_id = %s),
  (SELECT version FROM costs_allocationbook WHERE organization_id = %s)
"""


@dataclass(frozen=True)
class Applying:
    """Budgets and the strictest of those that count the call."""

    rows: list[Row]
    strictest: Standing | None
    is_blocked: bool
    # What gives calls to teams; None where tags do, or no team has a budget.
    rules: Matcher | None

    @property
    def remaining_usd(self) -> Decimal | None:
        return self.strictest.remaining_usd if self.strictest else None


def standings_mark(organization_id: UUID, now: dt.datetime) -> str:
    """Changes with every budget, every recorded or re-priced call, every rule of teams and every hour (a period may
    end): while it stays, no budget of the organisation stands differently. One cheap query."""
    row = fetch(_MARK, [organization_id] * 5)[0]
    text = repr((organization_id.hex, floor(now, "hour").isoformat(), *map(str, row)))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def standings_for(organization_id: UUID, call: Call, now: dt.datetime) -> list[Standing]:
    """The running budgets that a call counts towards, strictest first. Two queries, more for teams by rules (as
    `amounts`): for who must decide."""
    budgets = budgets_for_project(organization_id, call.project_id)
    call = _of_team(call, rules_for(organization_id, budgets))
    found = [
        one for one in standings([b for b in budgets if counts(b, call)], now) if one.is_running
    ]
    return sorted(found, key=_strictness)


def applying(
    organization_id: UUID, call: Call, now: dt.datetime, *, only_counting: bool
) -> Applying:
    """The running budgets of a project's calls (`only_counting`: of this call). At most five queries, more for teams
    by rules (as `amounts`)."""
    budgets = budgets_for_project(organization_id, call.project_id)
    rules = rules_for(organization_id, budgets)
    call = _of_team(call, rules)
    if only_counting:
        budgets = [one for one in budgets if counts(one, call)]
    found = sorted((one for one in standings(budgets, now) if one.is_running), key=_strictness)
    mine = [one for one in found if counts(one.budget, call)]
    return Applying(rows_of(found), strictest_of(mine), any(one.is_blocking for one in mine), rules)


def _of_team(call: Call, rules: Matcher | None) -> Call:
    if rules is None:
        return call
    return replace(call, team=rules.team_of(call.project_id, tuple(call.tags), call.key, call.user))


def strictest_of(found: Sequence[Standing]) -> Standing | None:
    """Hard ones go before soft ones; then who has the least left."""
    return min(found, key=_strictness, default=None)


def _strictness(one: Standing) -> tuple[bool, Decimal, str]:
    return not one.budget.is_hard, one.remaining_usd, str(one.budget.pk)
