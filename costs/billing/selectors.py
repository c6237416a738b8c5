"""Reads about billing connections: how they stand, what they billed, their runs."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, Min, Q, QuerySet, Sum

from core.errors import DomainError, NotFoundError
from costs.billing.access import DELETING, SEEN
from costs.billing.connections import OPEN_STATES, connection_of
from costs.billing.coverage import Coverage, coverages
from costs.models import BilledCost, BillingAccount, ProviderSync
from projects.models import ProviderConnection

RUNS = 20


@dataclass(frozen=True)
class Unconverted:
    """Money that has no dollars: no rate of its currency for its days."""

    currency: str
    amount: Decimal
    first: dt.date
    last: dt.date


@dataclass
class Billed:
    """What some lines come to. `usd` is None when there is no line, and leaves out what has no rate."""

    usd: Decimal | None = None
    lines: int = 0
    unconverted: list[Unconverted] = field(default_factory=list)


@dataclass(frozen=True)
class Standing:
    """A connection as its row on the list."""

    connection: ProviderConnection
    account: BillingAccount | None
    last_run: ProviderSync | None
    month: Billed
    coverage: Coverage | None

    @property
    def job_id(self) -> str:
        """Of the deletion under way."""
        return str(self.connection.settings.get(DELETING, ""))

    @property
    def seen(self) -> dict[str, Any]:
        """What the last check saw: account_name, scope, warnings."""
        found: dict[str, Any] = self.connection.settings.get(SEEN, {})
        return found

    @property
    def is_running(self) -> bool:
        return self.last_run is not None and self.last_run.state in OPEN_STATES


def month_of(now: dt.datetime) -> tuple[dt.date, dt.date]:
    """The current month's billing days, the last one excluded."""
    first = now.date().replace(day=1)
    return first, (first + dt.timedelta(days=32)).replace(day=1)


STATES = {
    "": "Any state",
    "verified": "Verified",
    "error": "Error",
    "paused": "Paused",
    "unfinished": "Not set up",
}
SORTS = {"": "By name", "recent": "Newest first"}


def listed(
    organization_id: UUID, *, provider: str = "", state: str = "", q: str = "", sort: str = ""
) -> QuerySet[ProviderConnection]:
    """The organisation's connections with their accounts, filtered."""
    rows = ProviderConnection.objects.filter(organization_id=organization_id).select_related(
        "billing", "organization"
    )
    if provider:
        rows = rows.filter(provider=provider)
    if state == "unfinished":
        rows = rows.filter(billing=None)
    elif state:
        rows = rows.filter(status=state)
    if q:
        rows = rows.filter(name__icontains=q)
    return rows.order_by("-pk" if sort == "recent" else "name")


def standings(connections: Iterable[ProviderConnection], *, now: dt.datetime) -> list[Standing]:
    """Each connection with its last run, the month's bill and its coverage. Four queries whatever their number, the
    connections' own included."""
    rows = list(connections)
    accounts = {row.pk: account for row in rows if (account := account_of(row))}
    keys = [account.pk for account in accounts.values()]
    runs = last_runs(keys)
    first, end = month_of(now)
    billed = billed_by(keys, first, end)
    covered = coverages(list(accounts.values()), now=now)
    return [
        Standing(
            row,
            account,
            runs.get(account.pk) if account else None,
            billed[account.pk] if account else Billed(),
            covered[account.pk] if account else None,
        )
        for row in rows
        for account in [accounts.get(row.pk)]
    ]


def account_of(connection: ProviderConnection) -> BillingAccount | None:
    """The connection's billing account; None until its set-up is finished."""
    account: BillingAccount | None = getattr(connection, "billing", None)
    return account


def last_runs(account_ids: list[UUID]) -> dict[UUID, ProviderSync]:
    """The newest run of each account. One query."""
    rows = (
        ProviderSync.objects.filter(account_id__in=account_ids)
        .order_by("account_id", "-created_at")
        .distinct("account_id")
    )
    return {row.account_id: row for row in rows}


def billed_by(account_ids: list[UUID], first: dt.date, end: dt.date) -> dict[UUID, Billed]:
    """What each account's lines of the days come to, money without a rate apart. One query."""
    found: dict[UUID, Billed] = defaultdict(Billed)
    rows = (
        BilledCost.objects.filter(account_id__in=account_ids, day__gte=first, day__lt=end)
        .values("account_id", "currency")
        .annotate(
            usd=Sum("amount_usd"),
            lines=Count("id"),
            unknown=Sum("amount", filter=Q(amount_usd=None)),
            unknown_first=Min("day", filter=Q(amount_usd=None)),
            unknown_last=Max("day", filter=Q(amount_usd=None)),
        )
        .order_by("account_id", "currency")
    )
    for row in rows:
        one = found[row["account_id"]]
        one.lines += row["lines"]
        if row["usd"] is not None:
            one.usd = (one.usd or Decimal(0)) + row["usd"]
        if row["unknown"] is not None:
            one.unconverted.append(
                Unconverted(
                    row["currency"], row["unknown"], row["unknown_first"], row["unknown_last"]
                )
            )
    return found


def connection_named(organization_id: UUID, connection_id: UUID) -> ProviderConnection:
    """With its billing account. One query. Raises NotFoundError."""
    row = connection_of(organization_id, connection_id)
    if row is None:
        raise NotFoundError("There is no such billing connection in this organisation.")
    return row


def account_named(organization_id: UUID, connection_id: UUID) -> BillingAccount:
    """One query. Raises NotFoundError, DomainError 409 while the connection is not set up."""
    row = connection_named(organization_id, connection_id)
    account = account_of(row)
    if account is None:
        raise DomainError(
            "This connection is not set up yet; choose its schedule and history first.",
            code="conflict",
            status=409,
        )
    account.connection = row
    return account


def runs_page(
    account: BillingAccount, *, state: str = "", before: UUID | None = None, limit: int = RUNS
) -> list[ProviderSync]:
    """The account's runs, newest first. One query."""
    rows = account.syncs.all()
    if state:
        rows = rows.filter(state=state)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return list(rows.order_by("-pk")[:limit])


def run_named(organization_id: UUID, sync_id: UUID) -> ProviderSync:
    """With its account and connection. One query. Raises NotFoundError."""
    row = (
        ProviderSync.objects.select_related("account", "account__connection")
        .filter(organization_id=organization_id, pk=sync_id)
        .first()
    )
    if row is None:
        raise NotFoundError("There is no such sync in this organisation.")
    return row


def progress_of(run: ProviderSync) -> dict[str, Any]:
    """How many of its days a run has read."""
    total = max(0, (run.end_day - run.first_day).days)
    done = min(total, max(0, (run.next_day - run.first_day).days))
    return {
        "run": run,
        "done": done,
        "total": total,
        "ratio": done / total if total else 1.0,
        "last_day": run.end_day - dt.timedelta(days=1),
        "is_open": run.state in OPEN_STATES,
        "may_resume": run.state in (ProviderSync.State.FAILED, ProviderSync.State.CANCELLED)
        and done < total,
    }
