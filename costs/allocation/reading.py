"""What a month is made of: records by team, bill lines, and how far the bills are read. No writes."""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import BooleanField, ExpressionWrapper, Max, Q, Sum

from costs.allocation.computing import Billed, Recorded
from costs.billing.mappings import matcher
from costs.explorer.ask import Question, answer
from costs.labels import label_of
from costs.models import (
    AllocationBook,
    BilledCost,
    BillingAccount,
    BillingMapping,
    CostDay,
)
from costs.selectors.sums import ZERO
from projects.models import Project

DAY = dt.timedelta(days=1)


@dataclass
class Month:
    """The two ledgers of a month. `notes` say what the figures leave out."""

    recorded: list[Recorded] = field(default_factory=list)
    billed: list[Billed] = field(default_factory=list)
    unpriced_calls: int = 0
    notes: list[str] = field(default_factory=list)


def next_month(month: dt.date) -> dt.date:
    """The first day of the month after."""
    return (month.replace(day=28) + 4 * DAY).replace(day=1)


def projects_in(organization_id: UUID) -> list[Project]:
    """Projects whose cost counts, the archived ones, too. One query."""
    return list(
        Project.objects.filter(organization_id=organization_id)
        .exclude(status=Project.Status.DELETING)
        .order_by("created_at", "id")
    )


def basis_of(organization_id: UUID, month: dt.date, projects: Sequence[Project]) -> str:
    """A text that changes with everything a month is computed from. Four queries."""
    end = next_month(month)
    days = CostDay.objects.filter(project__in=projects, day__gte=month, day__lt=end)
    lines = BilledCost.objects.filter(
        organization_id=organization_id, day__gte=month, day__lt=end
    ).aggregate(n=Max("id"), at=Max("fetched_at"), usd=Sum("amount_usd"))
    accounts = BillingAccount.objects.filter(organization_id=organization_id)
    through = accounts.aggregate(at=Max("synced_through"))["at"]
    mapped = BillingMapping.objects.filter(account__organization_id=organization_id).count()
    book = AllocationBook.objects.filter(organization_id=organization_id).first()
    version = days.aggregate(n=Sum("version"))["n"] or 0
    parts: tuple[Any, ...] = (
        version, lines["n"], lines["at"], lines["usd"], through, mapped, book.version if book else 0, len(projects),
    )  # fmt: skip
    return "|".join("" if part is None else str(part) for part in parts)[:200]


def read_month(
    organization_id: UUID, month: dt.date, projects: Sequence[Project], *, now: dt.datetime
) -> Month:
    """Both ledgers. The bill of a provider counts on days that all its accounts were read for; the other days count as
    recorded. Four queries and those of one explorer question per project."""
    found, end = Month(), next_month(month)
    covered = _coverage(organization_id, month, end, found, now=now)
    _add_bills(organization_id, month, end, covered, found)
    start, until = (dt.datetime.combine(day, dt.time(), dt.UTC) for day in (month, end))
    for project in projects:
        asked = Question(
            (project.pk,), start, until, by=("provider", "team"), bin="day",
            measures=("cost_usd", "unpriced_calls"),
        )  # fmt: skip
        said = answer(asked)
        for row in said.rows:
            _add_recorded(found, project.pk, row, covered)
        if said.unknown_days:
            found.notes.append(
                f"{project.name}: of {len(said.unknown_days)} days only sums are left; their calls have no team."
            )
    return found


def _add_recorded(
    found: Month, project_id: UUID, row: Any, covered: Mapping[str, tuple[dt.date, dt.date]]
) -> None:
    provider, team = row.key
    found.unpriced_calls += int(row["unpriced_calls"] or 0)
    first, last = covered.get(provider, (dt.date.max, dt.date.min))
    has_bill = first <= row.at.date() < last
    found.recorded.append(Recorded(provider, project_id, team, row["cost_usd"] or ZERO, has_bill))


def _coverage(
    organization_id: UUID, month: dt.date, end: dt.date, found: Month, *, now: dt.datetime
) -> dict[str, tuple[dt.date, dt.date]]:
    """Provider → the month's days (the last one excluded) that every account of it was read for."""
    spans: dict[str, tuple[dt.date, dt.date]] = {}
    accounts = BillingAccount.objects.filter(organization_id=organization_id).select_related(
        "connection"
    )
    for account in accounts:
        if account.synced_through is None:
            continue
        provider = account.connection.provider
        first = max(month, account.history_from or month)
        last = min(end, account.synced_through.date())
        before = spans.get(provider, (month, end))
        spans[provider] = (max(first, before[0]), min(last, before[1]))
    for provider, (first, last) in list(spans.items()):
        if first >= last:
            del spans[provider]
        elif (first, last) != (month, end):
            found.notes.append(
                f"{label_of('provider', provider)}: the bill is read from {first} up to {last - DAY};"
                " other days count as recorded."
            )
    return spans


def _add_bills(
    organization_id: UUID,
    month: dt.date,
    end: dt.date,
    covered: Mapping[str, tuple[dt.date, dt.date]],
    found: Month,
) -> None:
    mapped = matcher(organization_id)
    rows = (
        BilledCost.objects.filter(organization_id=organization_id, day__gte=month, day__lt=end)
        .values_list(
            "account_id", "provider", "day", "sub_account_id", "provider_key_id", "currency"
        )
        .annotate(
            is_unknown=ExpressionWrapper(Q(amount_usd=None), output_field=BooleanField()),
            usd=Sum("amount_usd"),
            amount=Sum("amount"),
        )
        .order_by("provider", "account_id", "sub_account_id", "provider_key_id", "day")
    )
    sums: dict[tuple[str, UUID | None, bool], Decimal] = defaultdict(Decimal)
    unknown: dict[str, Decimal] = defaultdict(Decimal)
    for account, provider, day, sub, key, currency, is_unknown, usd, amount in rows:
        first, last = covered.get(provider, (dt.date.max, dt.date.min))
        if not first <= day < last:
            continue
        if is_unknown:
            unknown[currency] += amount
            continue
        place = mapped.place_of(account, sub, key)
        sums[provider, place.project_id, place.is_outside] += usd
    found.billed += [
        Billed(provider, usd, project, is_outside)
        for (provider, project, is_outside), usd in sums.items()
    ]
    for currency, amount in sorted(unknown.items()):
        found.notes.append(
            f"{amount.normalize():f} {currency} have no rate to US dollars and are not in this statement; an operator"
            " sets it in the admin."
        )
