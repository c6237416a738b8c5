"""Teams of organisations that have allocation rules: what they cost, and whose a call is.

Without rules a team is the tag `team:<name>`, which the ledger's sums know. With rules its calls are found in the
explorer's facts, as the explorer and statements find them: for all budgets together.
"""

import datetime as dt
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

from core.ranges import Bin, floor
from costs.allocation.teams import Matcher, matcher
from costs.budgets.sums import Amount, Part
from costs.explorer.ask import Question, Row, answer
from costs.models import Budget, BudgetScope, RuleField
from costs.selectors.sums import ZERO
from projects.models import Project

Bins = list[tuple[dt.datetime, Amount]]
MEASURES = ("cost_usd", "calls", "unpriced_calls")


def team_bins(parts: Iterable[Part], size: Bin | None = None) -> dict[Part, Bins]:
    """What the parts that rules decide about cost per UTC hour or day, oldest first (without `size`: per day where
    their ends allow it); bins without calls are absent, as are all other parts.

    No query without a team among them; else two for the rules, and with rules one for projects and those of one
    question to the explorer for each stretch of time, however many the parts are.
    """
    wanted: dict[UUID, list[Part]] = defaultdict(list)
    for part in parts:
        if part.slot.team and part.start < part.end:
            wanted[part.organization_id].append(part)
    found: dict[Part, Bins] = {}
    for organization_id, own in wanted.items():
        if not matcher(organization_id).rules:
            continue
        projects = Project.objects.filter(organization_id=organization_id).order_by("id")
        ids = tuple(projects.values_list("pk", flat=True))
        for many in _stretches(own):
            found |= _read(ids, many, size)
    return found


def _stretches(parts: Iterable[Part]) -> Iterator[list[Part]]:
    """Parts that overlap or touch together: a budget that ended long ago has nobody read the time since."""
    many: list[Part] = []
    for part in sorted(parts, key=lambda one: one.start):
        if many and part.start > max(one.end for one in many):
            yield many
            many = []
        many.append(part)
    if many:
        yield many


def _read(project_ids: Sequence[UUID], parts: Sequence[Part], size: Bin | None) -> dict[Part, Bins]:
    """One question for all of them."""
    start, end = min(one.start for one in parts), max(one.end for one in parts)
    only = {part.project_id for part in parts}
    asked = Question(
        tuple(one for one in project_ids if None in only or one in only),
        start,
        end,
        by=("team",) if len(only) == 1 else ("team", "project"),
        bin=size or _widest(parts, end),
        filters=(("team", tuple(sorted({one.slot.team for one in parts}))),),
        measures=MEASURES,
    )
    lines: dict[tuple[str, UUID | None], dict[dt.datetime, Amount]] = defaultdict(dict)
    for row in answer(asked).rows if asked.project_ids else ():
        if row.key is None or row.at is None:
            continue
        team, *project = row.key
        amount = amount_of(row)
        for scope in (UUID(project[0]), None) if project else only:
            line = lines[team, scope]
            line[row.at] = line.get(row.at, Amount()) + amount
    ordered = {key: sorted(line.items()) for key, line in lines.items()}
    return {
        part: _between(ordered.get((part.slot.team, part.project_id), []), part) for part in parts
    }


def amount_of(row: Row) -> Amount:
    """The MEASURES of a group; what no price is known for costs nothing known."""
    cost, calls, unpriced = (row[name] for name in MEASURES)
    return Amount(cost or ZERO, calls, unpriced)  # type: ignore[arg-type]  # counts are whole


def _widest(parts: Iterable[Part], end: dt.datetime) -> Bin:
    """Days, where every part begins and ends with one or where the question ends."""
    ends = {at for part in parts for at in (part.start, part.end)} - {end}
    return "day" if all(at == floor(at, "day") for at in ends) else "hour"


def _between(line: Bins, part: Part) -> Bins:
    first, last = (bisect_left(line, at, key=lambda row: row[0]) for at in (part.start, part.end))
    return line[first:last]


def rules_for(organization_id: UUID, budgets: Iterable[Budget]) -> Matcher | None:
    """The rules that say whose a call is; None where its tags do. No query without a team budget, else two."""
    if all(one.scope != BudgetScope.TEAM for one in budgets):
        return None
    found = matcher(organization_id)
    return found if found.rules else None


def team_of_all(rules: Matcher, project_id: UUID, key: str) -> str:
    """The team of every call of a project with an API key (empty: any key), whatever its tags and user; empty where
    it depends on them."""
    teams = set()
    for rule in rules.rules:
        if rule.field in (RuleField.TAG, RuleField.USER) or not (
            key or rule.field == RuleField.PROJECT
        ):
            teams.add(rule.team)
        elif rule.fits(project_id, (), key, ""):
            teams.add(rule.team)
            return rule.team if len(teams) == 1 else ""
    return ""
