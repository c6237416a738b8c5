"""A month's cost by team: bills where they are read, records elsewhere, divided to the last digit (pure).

A provider's bill is divided in two steps: lines of a sub-account or key that is mapped to a project go to that project,
the others to all projects by what they recorded at the provider; then each project's part goes to teams by what their
calls cost there. What nothing recorded explains stays unassigned. Then shared pools are passed on.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from uuid import UUID

from costs.models import LineKind, SplitMethod
from costs.selectors.sums import ZERO
from costs.splitting import split

NOBODY = ""
HUNDRED = Decimal(100)


@dataclass(frozen=True)
class Recorded:
    """What the calls of a team cost at a provider in a project."""

    provider: str
    project: UUID
    team: str
    cost_usd: Decimal
    # The provider's bill was read for the day: it says what the calls cost, they say whose it is.
    has_bill: bool = False


@dataclass(frozen=True)
class Billed:
    """A sum of bill lines. `project`: whom the line is mapped to; `is_outside`: nobody's here."""

    provider: str
    amount_usd: Decimal
    project: UUID | None = None
    is_outside: bool = False


@dataclass(frozen=True)
class Pool:
    """A shared team. FIXED percents by team name; what they leave of 100 stays with the pool."""

    name: str
    method: str = SplitMethod.SHARE
    percents: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """One amount of a statement."""

    kind: str
    team: str
    amount_usd: Decimal
    provider: str = ""
    project: UUID | None = None
    pool: str = ""
    is_billed: bool = False


def allocate(
    recorded: Sequence[Recorded], billed: Sequence[Billed], pools: Sequence[Pool]
) -> list[Line]:
    """The lines of a month; together they are the bills plus what was recorded at providers without one."""
    lines = [
        Line(LineKind.DIRECT, one.team, one.cost_usd, one.provider, one.project)
        for one in recorded
        if not one.has_bill and one.cost_usd
    ]
    for provider in sorted({one.provider for one in billed}):
        own = [
            one
            for one in recorded
            if one.has_bill and one.provider == provider and one.cost_usd > 0
        ]
        lines += _of_bill(provider, own, [one for one in billed if one.provider == provider])
    return _passed_on(_merged(lines), pools)


def _of_bill(provider: str, own: Sequence[Recorded], billed: Sequence[Billed]) -> list[Line]:
    lines = []
    for one in billed:
        known = [row for row in own if one.project in (None, row.project)]
        if one.is_outside or not known:
            lines.append(
                Line(LineKind.DIRECT, NOBODY, one.amount_usd, provider, one.project, is_billed=True)
            )
            continue
        weights = {(row.project, row.team): ZERO for row in known}
        for row in known:
            weights[row.project, row.team] += row.cost_usd
        for (project, team), amount in split(one.amount_usd, weights).items():
            lines.append(Line(LineKind.DIRECT, team, amount, provider, project, is_billed=True))
    return lines


def _merged(lines: Iterable[Line]) -> list[Line]:
    """One line per kind, team, provider and project."""
    found: dict[tuple[str, str, str, UUID | None, str, bool], Line] = {}
    for line in lines:
        key = (line.kind, line.team, line.provider, line.project, line.pool, line.is_billed)
        before = found.get(key)
        found[key] = (
            line
            if before is None
            else replace(line, amount_usd=before.amount_usd + line.amount_usd)
        )
    return [line for line in found.values() if line.amount_usd]


def _passed_on(lines: list[Line], pools: Sequence[Pool]) -> list[Line]:
    """Each pool's own cost, less what stays, once more as parts of teams and as one line that takes it off the pool."""
    names = {pool.name for pool in pools}
    direct: dict[str, Decimal] = {}
    for line in lines:
        direct[line.team] = direct.get(line.team, ZERO) + line.amount_usd
    receivers = {
        team: cost for team, cost in direct.items() if cost > 0 and team not in names and team
    }
    found = list(lines)
    for pool in pools:
        cost = direct.get(pool.name, ZERO)
        weights = receivers if pool.method == SplitMethod.SHARE else _fixed(pool, names)
        if not cost or not any(weights.values()):
            continue
        for team, part in split(cost, weights).items():
            if team == pool.name or not part:
                continue
            found.append(Line(LineKind.SHARED, team, part, pool=pool.name))
            found.append(Line(LineKind.PASSED, pool.name, -part, pool=pool.name))
    return _merged(found)


def _fixed(pool: Pool, pools: Iterable[str]) -> dict[str, Decimal]:
    """Percents by team; what is left of 100 is the pool's own. Pools do not pass on to pools."""
    given = {
        team: percent
        for team, percent in pool.percents.items()
        if percent > 0 and team not in set(pools)
    }
    rest = HUNDRED - sum(given.values(), ZERO)
    return {**given, pool.name: rest} if rest > 0 else given
