"""Lines of providers' bills as charges."""

import datetime as dt
from uuid import UUID

from costs.focus.coverage import DAY, Account, midnight
from costs.focus.rows import Charge
from costs.models import BilledCost

_SUB_TYPES = {
    "openai": "Project",
    "anthropic": "Workspace",
    "azure": "Subscription",
    "google": "Project",
}


def billed_lines(
    organization_id: UUID,
    first: dt.date,
    end: dt.date,
    *,
    after: tuple[dt.date, int] | None,
    limit: int,
) -> list[BilledCost]:
    """Lines of billing days in [first, end) by day and id. One query."""
    rows = BilledCost.objects.filter(organization_id=organization_id, day__lt=end)
    rows = rows.filter(day__gte=after[0] if after else first)
    if after is not None:
        rows = rows.exclude(day=after[0], id__lte=after[1])
    return list(rows.order_by("day", "id")[:limit])


def billed_charge(line: BilledCost, account: Account) -> Charge:
    """A line as a charge, in the currency and with the digits of the bill."""
    first = line.day.replace(day=1)
    return Charge(
        start=line.starts_at,
        end=line.ends_at,
        period_start=midnight(first, account.zone),
        period_end=midnight((first + DAY * 32).replace(day=1), account.zone),
        account_id=f"llmlab:{account.id}",
        account_name=account.name,
        sub_id=line.sub_account_id,
        sub_name=line.sub_account_name,
        sub_type=_SUB_TYPES.get(account.provider, "Account"),
        provider=line.provider or account.provider,
        model=line.model,
        token_class=line.token_class,
        tier=line.service_tier,
        context=line.context_window,
        region=line.region,
        key_id=line.provider_key_id,
        key_name=line.provider_key_name,
        category=line.category,
        description=line.description,
        quantity=line.quantity,
        unit=line.unit,
        amount=line.amount,
        list_amount=line.list_amount,
        currency=line.currency or "USD",
        amount_usd=line.amount_usd,
        calls=line.requests,
        source="allocated" if line.is_allocated else "billed",
        basis="billed",
        cost_id=f"{account.id}/{line.day.isoformat()}/{line.natural_key}",
    )
