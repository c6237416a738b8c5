"""Which of the two ledgers speaks: where a provider's bill was read, its lines; elsewhere what was recorded."""

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import F

from costs.models import BilledCost, BillingAccount, ProviderSync

Spans = dict[str, list[tuple[dt.datetime, dt.datetime]]]
DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Account:
    """A connected provider account, as rows name it."""

    id: UUID
    provider: str
    name: str
    zone: ZoneInfo


def accounts_of(organization_id: UUID) -> dict[UUID, Account]:
    """The organisation's accounts. One query."""
    rows = BillingAccount.objects.filter(organization_id=organization_id).select_related(
        "connection"
    )
    return {
        row.pk: Account(row.pk, row.connection.provider, row.connection.name, _zone(row.time_zone))
        for row in rows
    }


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError):
        return ZoneInfo("UTC")


def midnight(day: dt.date, zone: dt.tzinfo = dt.UTC) -> dt.datetime:
    """When the day begins there, in UTC."""
    return dt.datetime.combine(day, dt.time(), zone).astimezone(dt.UTC)


def covered_spans(
    organization_id: UUID, accounts: dict[UUID, Account], first: dt.date, end: dt.date
) -> Spans:
    """Per provider, when a bill was read within [first, end) (a day more on both sides, for time zones), merged.

    A day counts when a run has read it, or when it has lines. Two queries, none without accounts.
    """
    if not accounts:
        return {}
    bounds = (first - DAY, end + DAY)
    days: dict[UUID, set[dt.date]] = defaultdict(set)
    runs = ProviderSync.objects.filter(
        organization_id=organization_id, first_day__lt=bounds[1], next_day__gt=bounds[0]
    ).filter(next_day__gt=F("first_day"))
    for key, start, stop in runs.values_list("account_id", "first_day", "next_day"):
        day, last = max(start, bounds[0]), min(stop, bounds[1])
        days[key].update(day + DAY * n for n in range((last - day).days))
    lines = BilledCost.objects.filter(
        organization_id=organization_id, day__gte=bounds[0], day__lt=bounds[1]
    )
    for key, day in lines.values_list("account_id", "day").distinct():
        days[key].add(day)
    spans: Spans = defaultdict(list)
    for key, account in accounts.items():
        for day in days.get(key, ()):
            start_at = midnight(day, account.zone)
            spans[account.provider].append((start_at, midnight(day + DAY, account.zone)))
    return {provider: _merged(found) for provider, found in spans.items()}


def _merged(spans: list[tuple[dt.datetime, dt.datetime]]) -> list[tuple[dt.datetime, dt.datetime]]:
    merged: list[tuple[dt.datetime, dt.datetime]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged
