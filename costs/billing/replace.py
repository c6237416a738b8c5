"""Whole days of the billed ledger replaced by a later reading of them, with a trail of what it changed.

A line that says the same stays untouched. Called in the transaction that also moves the sync on: a day is never half
old and half new, and a reading that is repeated changes nothing.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any

from costs.billing.rates import Rates, current_rates
from costs.models import BilledCost, BilledRevision, BilledUsage, BillingAccount, ProviderSync
from costs.providers.base import CostLine, Reading, UsageLine, merged

BATCH = 1_000
MONEY, COUNT = Decimal("1e-18"), Decimal("1e-9")
SHARED = (
    "day", "starts_at", "ends_at", "source", "provider", "sub_account_id", "sub_account_name", "provider_key_id",
    "provider_key_name", "model", "service_tier", "token_class", "context_window", "region", "quantity", "unit",
    "requests",
)  # fmt: skip
OF_COSTS = (
    *SHARED, "category", "description", "sku_id", "amount", "list_amount", "currency", "is_allocated",
)  # fmt: skip
# Texts as long as their columns.
LIMITS = {
    "source": 20, "provider": 64, "sub_account_id": 300, "sub_account_name": 300, "provider_key_id": 200,
    "provider_key_name": 200, "model": 200, "service_tier": 32, "token_class": 20, "context_window": 32, "region": 64,
    "unit": 32, "description": 500, "sku_id": 200, "currency": 8,
}  # fmt: skip


@dataclass(frozen=True)
class Counts:
    """What a reading did to the days it was about."""

    added: int = 0
    changed: int = 0
    removed: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.added + other.added,
            self.changed + other.changed,
            self.removed + other.removed,
        )


@dataclass(frozen=True)
class Scope:
    """Which days of whose ledger, on whose behalf."""

    account: BillingAccount
    sync: ProviderSync
    first_day: dt.date
    end_day: dt.date
    # Days that had ended when they were read before: what changes in them is a correction.
    settled: frozenset[dt.date]
    now: dt.datetime


def replace_days(*, scope: Scope, reading: Reading) -> Counts:
    """Make the days [first_day, end_day) of the ledger what `reading` says. Four queries and the writes."""
    costs = [_fitted(line) for line in reading.costs if _is_within(line, scope)]
    usage = [_fitted(line) for line in reading.usage if _is_within(line, scope)]
    rates = current_rates({line.currency for line in costs})
    return _replace(scope, BilledCost, OF_COSTS, merged(costs), rates) + _replace(
        scope, BilledUsage, SHARED, merged(usage), None
    )


def _is_within(line: CostLine | UsageLine, scope: Scope) -> bool:
    return scope.first_day <= line.day < scope.end_day


def _fitted(line: Any) -> Any:
    """The line as its columns hold it, before it is compared or named: cut texts, rounded numbers."""
    changes: dict[str, Any] = {}
    for name, limit in LIMITS.items():
        value = getattr(line, name, "")
        clean = value.replace("\x00", "")[:limit]
        if clean != value:
            changes[name] = clean
    for name, quantum in (("amount", MONEY), ("list_amount", MONEY), ("quantity", COUNT)):
        number = getattr(line, name, None)
        if number is not None:
            with localcontext(prec=100):
                changes[name] = number.quantize(quantum, ROUND_HALF_EVEN)
    return replace(line, **changes)


def _replace(
    scope: Scope,
    model: type[BilledCost] | type[BilledUsage],
    names: tuple[str, ...],
    lines: Sequence[Any],
    rates: Rates | None,
) -> Counts:
    stored = {
        (row.day, row.natural_key): row
        for row in model._default_manager.filter(
            account=scope.account, day__gte=scope.first_day, day__lt=scope.end_day
        )
    }
    fresh: list[Any] = []
    stale: list[int] = []
    revisions: list[BilledRevision] = []
    counts = Counts()
    for line in lines:
        before = stored.pop((line.day, line.natural_key), None)
        if before is not None and all(getattr(before, n) == getattr(line, n) for n in names):
            continue
        fresh.append(_row(scope, model, names, line, before, rates))
        if before is not None:
            stale.append(before.pk)
        counts += Counts(added=1) if before is None else Counts(changed=1)
        if line.day in scope.settled and (before is None or _figure(before) != _figure(line)):
            revisions.append(_revision(scope, line, before, line))
    for row in stored.values():
        stale.append(row.pk)
        counts += Counts(removed=1)
        if row.day in scope.settled:
            revisions.append(_revision(scope, row, row, None))
    for start in range(0, len(stale), BATCH):
        model._default_manager.filter(pk__in=stale[start : start + BATCH]).delete()
    model._default_manager.bulk_create(fresh, batch_size=BATCH)
    BilledRevision.objects.bulk_create(revisions, batch_size=BATCH)
    return counts


def _row(
    scope: Scope,
    model: Any,
    names: tuple[str, ...],
    line: Any,
    before: Any,
    rates: Rates | None,
) -> Any:
    values = {name: getattr(line, name) for name in names}
    if rates is not None:
        values["amount_usd"] = rates.convert(line.amount, line.currency, line.day)
    return model(
        **values,
        organization_id=scope.account.organization_id,
        account_id=scope.account.pk,
        natural_key=line.natural_key,
        revision=before.revision + 1 if before is not None else 1,
        fetched_at=scope.now,
    )


def _figure(line: Any) -> Decimal | None:
    """What a correction is about: money, or without money the quantity."""
    found: Decimal | None = getattr(line, "amount", None)
    return found if found is not None else line.quantity


def _revision(scope: Scope, line: Any, before: Any, after: Any) -> BilledRevision:
    currency = getattr(line, "currency", "")
    return BilledRevision(
        organization_id=scope.account.organization_id,
        account_id=scope.account.pk,
        sync_id=scope.sync.pk,
        day=line.day,
        is_usage=not currency,
        natural_key=line.natural_key,
        subject=subject_of(line),
        before=None if before is None else _figure(before),
        after=None if after is None else _figure(after),
        unit=currency or line.unit,
        seen_at=scope.now,
    )


def subject_of(line: Any) -> str:
    """A line (read or stored) in words: model, class, tier, whose it is, what the bill calls it."""
    parts = (
        line.model,
        line.token_class,
        line.service_tier,
        line.sub_account_name or line.sub_account_id,
        line.provider_key_name or line.provider_key_id,
        getattr(line, "description", ""),
    )
    return " · ".join(part for part in parts if part)[:500]


def settled_days(
    *,
    account: BillingAccount,
    sync: ProviderSync,
    first_day: dt.date,
    end_day: dt.date,
    ends_at: Callable[[dt.date], dt.datetime],
) -> frozenset[dt.date]:
    """The days of [first_day, end_day) that another sync read after they had ended (and after the provider said that
    its figures reach so far). One query."""
    others = (
        ProviderSync.objects.filter(account=account, first_day__lt=end_day, next_day__gt=first_day)
        .exclude(pk=sync.pk)
        .values_list("first_day", "next_day", "ended_at", "updated_at")
    )
    known = account.data_through
    found: set[dt.date] = set()
    for first, following, ended_at, updated_at in others:
        day = max(first, first_day)
        while day < min(following, end_day):
            end = ends_at(day)
            if end <= (ended_at or updated_at) and (known is None or end <= known):
                found.add(day)
            day += dt.timedelta(days=1)
    return frozenset(found)
