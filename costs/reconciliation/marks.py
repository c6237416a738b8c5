"""Which days of which provider have to be worked out again: those whose ledgers, prices, mappings or completeness
changed since."""

import datetime as dt
import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connection

from costs.catalogue import current_catalogue
from costs.models import BillingAccount, BillingMapping, PriceBook, ReconciledDay
from costs.providers.registry import plugin_for
from costs.reconciliation.facts import OUTSIDE, Key
from costs.reconciliation.zones import day_end

# How long after its end a day's bill may still be corrected, where the plugin does not say.
SETTLES_AFTER_DAYS = 3
ONE_DAY = dt.timedelta(days=1)

_BILLED = """
SELECT provider, day, sum(n), sum(sums) FROM (
  SELECT provider, day, count(*) AS n,
    sum(revision::numeric * 7 + hashtext(natural_key) + coalesce(hashtext(amount_usd::text), 1)) AS sums
  FROM costs_billedcost WHERE organization_id = %s GROUP BY 1, 2
  UNION ALL
  SELECT provider, day, count(*),
    sum(revision::numeric * 7 + hashtext(natural_key) + hashtext(coalesce(quantity::text, '')))
  FROM costs_billedusage WHERE organization_id = %s GROUP BY 1, 2
) AS b GROUP BY 1, 2
"""
# `lost`: the day has records that nobody can read any more, and no facts were kept of it.
_VERSIONS = """
SELECT v.day, sum({version})::bigint, count(*), bool_or(f.day IS NULL AND NOT (v.day = ANY(%s::date[]))) AS lost
FROM costs_costday v LEFT JOIN costs_reconciledfacts f ON f.project_id = v.project_id AND f.day = v.day
WHERE v.project_id = ANY(%s) AND (f.project_id IS NULL OR f.project_id = ANY(%s)) GROUP BY 1
"""
_KEPT = "coalesce(f.version, 0)"
# Of a day nobody can read any more, what was kept is all there is.
_CURRENT = f"CASE WHEN v.day = ANY(%s::date[]) THEN v.version ELSE {_KEPT} END"


@dataclass(frozen=True, slots=True)
class Side:
    """How a provider's accounts stand, taken together: they cannot be told apart in the records."""

    provider: str
    zone: str
    complete_through: dt.datetime | None
    settled_before: dt.datetime
    accounts: tuple[str, ...]


@dataclass(frozen=True)
class Marks:
    """What every day of an organisation's providers would be worked out from now."""

    sides: dict[str, Side]
    # provider → day → (recorded mark, billed mark)
    days: dict[str, dict[dt.date, tuple[str, str]]] = field(default_factory=dict)


def _hash(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:40]


def sides_of(organization_id: UUID, *, now: dt.datetime) -> dict[str, Side]:
    """The providers whose bills were read, by name. One query."""
    rows: dict[str, list[BillingAccount]] = defaultdict(list)
    found = BillingAccount.objects.filter(
        organization_id=organization_id, synced_through__isnull=False
    )
    for account in found.select_related("connection").order_by("created_at"):
        rows[account.connection.provider].append(account)
    sides = {}
    for provider, accounts in rows.items():
        ends = [one for a in accounts for one in (a.synced_through, a.data_through) if one]
        sides[provider] = Side(
            provider=provider,
            zone=accounts[0].time_zone or "UTC",
            complete_through=min(ends),
            settled_before=now - dt.timedelta(days=_settling_days(provider)),
            accounts=tuple(str(account.pk) for account in accounts),
        )
    return sides


def _settling_days(provider: str) -> int:
    try:
        return max(plugin_for(provider).overlap_days, 1)
    except LookupError:
        return SETTLES_AFTER_DAYS


def owners_of(organization_id: UUID) -> dict[Key, str]:
    """Sub-accounts and keys with their project or OUTSIDE. One query."""
    rows = BillingMapping.objects.filter(account__organization_id=organization_id)
    return {
        (str(row.account_id), row.sub_account_id, row.provider_key_id): OUTSIDE
        if row.is_outside
        else str(row.project_id)
        for row in rows
        if row.is_outside or row.project_id
    }


def versions(
    project_ids: list[UUID], readable: list[dt.date], *, kept: bool = False
) -> dict[dt.date, tuple[int, int, bool]]:
    """Per UTC day the versions of the projects' days (with `kept`: of the facts kept of them), how many, and whether
    what they recorded is gone. One query."""
    column = _KEPT if kept else _CURRENT
    with connection.cursor() as cursor:
        values = [readable] if column == _CURRENT else []
        cursor.execute(
            _VERSIONS.format(version=column), [*values, readable, project_ids, project_ids]
        )
        return {day: (int(total), count, lost) for day, total, count, lost in cursor.fetchall()}


def current_marks(
    organization_id: UUID,
    project_ids: list[UUID],
    readable: list[dt.date],
    *,
    now: dt.datetime,
    kept: bool = False,
) -> Marks:
    """Six queries."""
    sides = sides_of(organization_id, now=now)
    with connection.cursor() as cursor:
        cursor.execute(_BILLED, [organization_id, organization_id])
        billed = {(provider, day): (n, str(sums)) for provider, day, n, sums in cursor.fetchall()}
    recorded = versions(project_ids, readable, kept=kept)
    book = PriceBook.objects.filter(pk=organization_id).values_list("version", flat=True).first()
    said = _hash(sorted(owners_of(organization_id).items()), book, current_catalogue().source)
    marks = Marks(sides)
    for provider, side in sides.items():
        days = [day for name, day in billed if name == provider]
        if not days:
            continue
        last = max(max(days), now.date())
        marks.days[provider] = {
            day: _marks_of(day, side, recorded, billed.get((provider, day)), said)
            for day in _between(min(days), last)
            if not recorded.get(day, (0, 0, False))[2]
        }
    return marks


def _between(first: dt.date, last: dt.date) -> list[dt.date]:
    return [first + ONE_DAY * place for place in range((last - first).days + 1)]


def _marks_of(
    day: dt.date,
    side: Side,
    recorded: Mapping[dt.date, tuple[int, int, bool]],
    billed: Any,
    said: str,
) -> tuple[str, str]:
    near = [recorded.get(day + ONE_DAY * shift, (0, 0, False))[:2] for shift in (-1, 0, 1)]
    end = day_end(day, side.zone)
    state = (
        side.complete_through is not None and end <= side.complete_through,
        end <= side.settled_before,
    )
    return _hash(near), _hash(billed, state, side.zone, side.accounts, said)


def stale_days(organization_id: UUID, marks: Marks) -> dict[str, list[dt.date]]:
    """Days whose marks are not those they were worked out from. One query."""
    have = {
        (provider, day): (recorded, billed)
        for provider, day, recorded, billed in ReconciledDay.objects.filter(
            organization_id=organization_id
        ).values_list("provider", "day", "recorded_mark", "billed_mark")
    }
    found = {
        provider: [day for day, mark in days.items() if have.get((provider, day)) != mark]
        for provider, days in marks.days.items()
    }
    return {provider: days for provider, days in found.items() if days}
