"""Budgets a team like the demo's would have, sized by what its own calls cost."""

import datetime as dt
from decimal import Decimal
from typing import Any

from accounts.models import User
from core.ranges import DAY
from costs.budgets.drafts import read_draft
from costs.budgets.selectors import daily_amounts
from costs.budgets.services import change_budget, create_budget
from costs.budgets.spenders import known_values
from costs.budgets.sums import Amount
from costs.models import Budget
from projects.models import Project


def furnish_budgets(*, project: Project, owner: User, now: dt.datetime) -> None:
    """A month that will not last, a hard weekly limit, a daily and a rolling one; through the services people use.

    Nothing when the organisation has budgets, or its calls of the last days cost nothing.
    """
    organization_id = project.organization_id
    if Budget.objects.filter(organization_id=organization_id).exists():
        return
    known = known_values(organization_id, now)

    def make(name: str, days: int, share: str, **values: Any) -> Budget | None:
        draft = {
            "name": name,
            "scope": "organization",
            "amount_usd": "1",
            "thresholds": [50, 80],
        } | values
        amount = _sized(read_draft(organization_id, draft), days, Decimal(share), now)
        if amount is None:
            return None
        return create_budget(
            draft=read_draft(organization_id, draft | {"amount_usd": amount}),
            author=owner,
            now=now - 25 * DAY,
        )

    whole = make(
        "Everything", 30, "0.85", period="monthly", note="Agreed with finance for the quarter."
    )
    if whole is not None:
        _raise(whole, owner, now - 8 * DAY)
    make(
        "Production",
        30,
        "1.4",
        period="rolling",
        rolling_days=30,
        scope="project",
        project=str(project.pk),
    )
    if agents := known.get("agent"):
        make(
            f"{agents[0]}, a week",
            7,
            "1.15",
            period="weekly",
            scope="agent",
            value=agents[0],
            is_hard=True,
        )
    if models := known.get("model"):
        make(
            f"{models[0]}, a day",
            1,
            "1.3",
            period="daily",
            scope="model",
            value=models[0],
            thresholds=[80],
        )
    if users := known.get("user"):
        make(f"{users[0]}, a month", 30, "2", period="monthly", scope="user", value=users[0])


def _sized(draft: Any, days: int, share: Decimal, now: dt.datetime) -> str | None:
    """`share` of what the scope's calls cost in so many days at the pace of the last two weeks; two round digits."""
    today = now.date()
    found = daily_amounts(draft, today - 14 * DAY, today)
    total = sum(found.values(), Amount()).cost_usd
    amount = total / 14 * days * share
    # Cents are no budget anybody would set.
    if amount < 1:
        return None
    return f"{amount.quantize(Decimal(1).scaleb(amount.adjusted() - 1)):f}"


def _raise(budget: Budget, owner: User, now: dt.datetime) -> None:
    """Somebody allowed a little more after two weeks."""
    draft = {
        "name": budget.name,
        "scope": budget.scope,
        "period": budget.period,
        "thresholds": budget.thresholds,
        "note": budget.note,
        "amount_usd": f"{budget.amount_usd * Decimal('1.1'):.2f}",
    }
    change_budget(
        organization_id=budget.organization_id,
        budget_id=budget.pk,
        draft=read_draft(budget.organization_id, draft),
        author=owner,
        now=now,
    )
