"""The billed side: a provider's cost and usage lines of some days, summed to what reconciliation asks about."""

import datetime as dt
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from costs.reconciliation.classes import tier_of
from costs.reconciliation.facts import Charge, Use
from costs.reconciliation.names import canonical

# How many of the unit one is.
UNITS = {"1000_tokens": 1000, "1k_tokens": 1000, "1k": 1000, "1m_tokens": 1_000_000, "1m": 1_000_000}  # fmt: skip
_WHERE = (
    "WHERE b.organization_id = %s AND b.provider = %s AND b.day >= %s AND b.day <= %s GROUP BY 1, 2"
)
# A sum is unknown when a part of it is.
_COSTS = f"""
SELECT b.account_id::text, b.day, b.model, b.service_tier, b.token_class, b.sub_account_id, b.provider_key_id, b.unit,
  b.currency, b.category, CASE WHEN b.category = 'usage' AND b.model <> '' THEN '' ELSE b.description END,
  b.is_allocated,
  CASE WHEN count(b.quantity) = count(*) THEN sum(b.quantity) END,
  CASE WHEN count(b.requests) = count(*) THEN sum(b.requests) END, sum(b.amount),
  CASE WHEN count(b.list_amount) = count(*) THEN sum(b.list_amount) END,
  CASE WHEN count(b.amount_usd) = count(*) THEN sum(b.amount_usd) END, count(*)
FROM costs_billedcost b {_WHERE}, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, b.amount_usd IS NULL ORDER BY 2, 3, 4, 5, 6, 7
"""  # noqa: S608
_USAGE = f"""
SELECT b.account_id::text, b.day, b.model, b.service_tier, b.token_class, b.sub_account_id, b.provider_key_id, b.unit,
  CASE WHEN b.ends_at - b.starts_at <= interval '1 hour' THEN b.starts_at END,
  sum(b.quantity), CASE WHEN count(b.requests) = count(*) THEN sum(b.requests) END
FROM costs_billedusage b {_WHERE}, 3, 4, 5, 6, 7, 8, 9 HAVING sum(b.quantity) IS NOT NULL ORDER BY 2, 3, 4, 5, 6, 7
"""  # noqa: S608


def read_billed(
    organization_id: UUID, provider: str, first: dt.date, last: dt.date
) -> tuple[list[Charge], list[Use]]:
    """Both kinds of lines of the days, the last one included. Two queries."""
    bounds: list[Any] = [organization_id, provider, first, last]
    with connection.cursor() as cursor:
        cursor.execute(_USAGE, bounds)
        uses = [_use(provider, row) for row in cursor.fetchall()]
        cursor.execute(_COSTS, bounds)
        rows = cursor.fetchall()
    return [_charge(provider, row) for row in rows], uses


def _charge(provider: str, row: tuple[Any, ...]) -> Charge:
    (account, day, model, tier, kind, sub_account, key, unit, currency, category, words, is_allocated,
     quantity, requests, amount, listed, usd, lines) = row  # fmt: skip
    return Charge(
        account=account,
        day=day,
        model=canonical(provider, model)[1],
        tier=tier_of(tier) if tier else "",
        token_class=kind,
        sub_account=sub_account,
        key=key,
        quantity=None if quantity is None else quantity * UNITS.get(unit.lower(), 1),
        requests=None if requests is None else int(requests),
        amount=amount,
        list_amount=listed,
        currency=currency,
        amount_usd=usd,
        category=category,
        words=words,
        lines=lines,
        is_allocated=is_allocated,
    )


def _use(provider: str, row: tuple[Any, ...]) -> Use:
    account, day, model, tier, kind, sub_account, key, unit, hour, quantity, requests = row
    return Use(
        account=account,
        day=day,
        hour=hour,
        model=canonical(provider, model)[1],
        # A usage report that names tiers says nothing for the standard one.
        tier=tier_of(tier),
        token_class=kind,
        sub_account=sub_account,
        key=key,
        quantity=Decimal(quantity) * UNITS.get(unit.lower(), 1),
        requests=None if requests is None else int(requests),
    )
