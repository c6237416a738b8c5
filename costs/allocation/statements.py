"""Monthly statements: open ones are computed again as the ledgers change; a closed one never changes, and what its
bill turns out to be later is booked in the first open month after it."""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Min, Sum
from django.db.models.functions import Coalesce

from accounts.models import Organization, User
from accounts.services import record_audit_event
from core import outbox
from core.errors import ConflictError, NotFoundError
from costs.allocation.computing import Line, Pool, allocate
from costs.allocation.reading import (
    Month,
    basis_of,
    next_month,
    projects_in,
    read_month,
)
from costs.models import (
    AllocationBook,
    BilledCost,
    CostDay,
    LineKind,
    Statement,
    StatementLine,
    Team,
)
from costs.selectors.sums import ZERO
from costs.splitting import split
from projects.models import Project

TOPIC = "costs.statements"
MAX_MONTHS = 24
MONTH = "%Y-%m"


class NotClosableError(ConflictError):
    """The month cannot be closed yet; the detail says why."""

    code = "month_not_closable"


def ensure_months(organization_id: UUID, *, now: dt.datetime) -> list[Statement]:
    """A statement for every month from the first cost (at most two years back) to this one; the open ones, oldest
    first. Four queries."""
    days = CostDay.objects.filter(project__in=projects_in(organization_id))
    bills = BilledCost.objects.filter(organization_id=organization_id)
    firsts = [days.aggregate(at=Min("day"))["at"], bills.aggregate(at=Min("day"))["at"]]
    this = now.astimezone(dt.UTC).date().replace(day=1)
    month = min((day for day in firsts if day), default=this).replace(day=1)
    months = []
    while month <= this:
        months.append(month)
        month = next_month(month)
    Statement.objects.bulk_create(
        [Statement(organization_id=organization_id, month=one) for one in months[-MAX_MONTHS:]],
        ignore_conflicts=True,
    )
    return list(
        Statement.objects.filter(organization_id=organization_id, closed_at=None).order_by("month")
    )


@outbox.handler(TOPIC)
def handle(*, payload: dict[str, Any], now: dt.datetime) -> None:
    """Outbox work: compute an organisation's open months that changed, one month per piece."""
    organization_id = UUID(payload["organization_id"])
    if not Organization.objects.filter(pk=organization_id).exists():
        return
    after = payload.get("after", "")
    for statement in ensure_months(organization_id, now=now):
        month = statement.month.strftime(MONTH)
        if month > after and compute(statement, now=now, is_forced=bool(payload.get("is_forced"))):
            ask(organization_id, now=now, after=month, is_forced=bool(payload.get("is_forced")))
            return


def ask(
    organization_id: UUID, *, now: dt.datetime, after: str = "", is_forced: bool = False
) -> None:
    """Have the open months computed soon; once a minute however often it is asked."""
    minute = int(now.timestamp() // 60)
    outbox.enqueue(
        topic=TOPIC,
        key=f"{TOPIC}:{organization_id}:{minute}:{after}:{int(is_forced)}",
        payload={
            "organization_id": str(organization_id),
            "after": after,
            "is_forced": is_forced,
        },
        now=now,
    )


def ask_all(*, now: dt.datetime) -> int:
    """Every organisation with teams; returns how many."""
    found = list(AllocationBook.objects.values_list("organization_id", flat=True))
    for organization_id in found:
        ask(organization_id, now=now)
    return len(found)


def compute(statement: Statement, *, now: dt.datetime, is_forced: bool = False) -> bool:
    """Write the lines of an open month anew. False when nothing it rests on has changed."""
    organization_id, projects = statement.organization_id, projects_in(statement.organization_id)
    corrected = _corrected_months(statement)
    months = [statement.month, *(one.month for one in corrected)]
    basis = "/".join(basis_of(organization_id, month, projects)[:60] for month in months)[:200]
    if basis == statement.basis and not is_forced:
        return False
    found = read_month(organization_id, statement.month, projects, now=now)
    teams = {team.name: team for team in Team.objects.filter(organization_id=organization_id)}
    lines = allocate(found.recorded, found.billed, _pools(teams.values()))
    rows = [_row(line, teams, projects) for line in lines]
    corrections = [
        row
        for closed in corrected
        for row in _corrections(
            closed, read_month(organization_id, closed.month, projects, now=now)
        )
    ]
    with transaction.atomic():
        locked = Statement.objects.select_for_update().get(pk=statement.pk)
        if locked.closed_at is not None:
            return False
        StatementLine.objects.filter(statement=locked).delete()
        for row in (*rows, *corrections):
            row.statement = locked
        StatementLine.objects.bulk_create([*rows, *corrections])
        locked.bill_usd = sum((line.amount_usd for line in lines), ZERO)
        locked.adjusted_usd = sum((row.amount_usd for row in corrections), ZERO)
        locked.unpriced_calls, locked.notes = found.unpriced_calls, found.notes
        locked.computed_at, locked.basis = now, basis
        locked.save()
    return True


def _pools(teams: Any) -> list[Pool]:
    """Shared teams. FIXED percents are kept by team id; names are what lines are made with."""
    names = {str(team.pk): team.name for team in teams}
    return [
        Pool(
            team.name,
            team.method,
            {
                names[key]: Decimal(percent)
                for key, percent in team.percents.items()
                if key in names
            },
        )
        for team in sorted(teams, key=lambda team: team.name)
        if team.is_shared and team.archived_at is None
    ]


def _row(line: Line, teams: Mapping[str, Team], projects: Sequence[Project]) -> StatementLine:
    team = teams.get(line.team)
    project = next((one for one in projects if one.pk == line.project), None)
    return StatementLine(
        kind=line.kind,
        team=team,
        team_name=line.team[:80],
        cost_centre=team.cost_centre if team else "",
        provider=line.provider,
        project=project,
        project_name=project.name if project else "",
        pool_name=line.pool,
        is_billed=line.is_billed,
        amount_usd=line.amount_usd,
    )


def _corrected_months(statement: Statement) -> list[Statement]:
    """Closed months whose corrections belong here: this is the first open month after them. One query."""
    own = Statement.objects.filter(organization_id=statement.organization_id)
    if own.filter(closed_at=None, month__lt=statement.month).exists():
        return []
    return list(own.filter(closed_at__isnull=False, month__lt=statement.month).order_by("month"))


def _corrections(closed: Statement, now: Month) -> list[StatementLine]:
    """What each provider's total of a closed month has moved by since, divided as the closed month was: rules that
    changed later do not reach back. One query."""
    booked = list(
        StatementLine.objects.filter(
            statement__organization_id=closed.organization_id, statement__closed_at__isnull=False
        ).filter(statement=closed, kind=LineKind.DIRECT)
        | StatementLine.objects.filter(
            statement__organization_id=closed.organization_id,
            statement__closed_at__isnull=False,
            kind=LineKind.ADJUSTMENT,
            adjusts_month=closed.month,
        )
    )
    was: dict[str, Decimal] = defaultdict(Decimal)
    for line in booked:
        was[line.provider] += line.amount_usd
    totals = _totals(now)
    rows = []
    for provider in sorted({*was, *totals}):
        moved = totals.get(provider, ZERO) - was.get(provider, ZERO)
        if moved:
            own = [one for one in booked if one.provider == provider and one.amount_usd > 0]
            rows += _correction_lines(closed.month, provider, moved, own)
    return rows


def _totals(month: Month) -> dict[str, Decimal]:
    """What each provider costs in the month: the bill, and records of days without one."""
    found: dict[str, Decimal] = defaultdict(Decimal)
    for bill in month.billed:
        found[bill.provider] += bill.amount_usd
    for row in month.recorded:
        if not row.has_bill:
            found[row.provider] += row.cost_usd
    return found


def _correction_lines(
    month: dt.date, provider: str, moved: Decimal, own: Sequence[StatementLine]
) -> list[StatementLine]:
    weights: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for line in own:
        key = (line.team_id, line.team_name, line.cost_centre, line.project_id, line.project_name)
        weights[key] += line.amount_usd
    parts = split(moved, weights) if weights else {(None, "", "", None, ""): moved}
    return [
        StatementLine(
            kind=LineKind.ADJUSTMENT,
            team_id=team,
            team_name=name,
            cost_centre=centre,
            provider=provider,
            project_id=project,
            project_name=project_name,
            adjusts_month=month,
            amount_usd=amount,
        )
        for (team, name, centre, project, project_name), amount in parts.items()
        if amount
    ]


@transaction.atomic
def close_month(
    *, organization_id: UUID, month: dt.date, actor: User, now: dt.datetime
) -> Statement:
    """Compute the month once more and lock it for ever. Raises NotFoundError, NotClosableError."""
    own = Statement.objects.select_for_update().filter(organization_id=organization_id)
    statement = own.filter(month=month).first()
    if statement is None:
        raise NotFoundError("There is no statement of this month.")
    if statement.closed_at is not None:
        raise NotClosableError(f"{month:%B %Y} is closed already.")
    if now.astimezone(dt.UTC).date() < next_month(month):
        raise NotClosableError(f"{month:%B %Y} is not over yet (days are UTC).")
    if earlier := own.filter(closed_at=None, month__lt=month).order_by("month").first():
        raise NotClosableError(f"Close {earlier.month:%B %Y} first: corrections go forward only.")
    compute(statement, now=now, is_forced=True)
    statement.refresh_from_db()
    statement.closed_at, statement.closed_by = now, actor
    statement.save(update_fields=["closed_at", "closed_by", "updated_at"])
    record_audit_event(
        organization_id=organization_id,
        actor=actor,
        action="allocation.month.closed",
        target=f"{month:%Y-%m}",
        data={"total_usd": f"{statement.bill_usd + statement.adjusted_usd:f}"},
    )
    return statement


def line_total(statement: Statement) -> Decimal:
    """What the lines add up to. One query."""
    total: Decimal = statement.lines.aggregate(usd=Coalesce(Sum("amount_usd"), ZERO))["usd"]
    return total
