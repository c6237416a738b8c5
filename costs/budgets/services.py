"""Writing budgets. Each change is audited, and what the budget said before stays as history (BudgetChange).

Budgets may overlap: each counts by itself, and for a call the strictest one wins.
"""

import datetime as dt
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from accounts.models import Organization, User
from accounts.services import record_audit_event
from core.errors import ConflictError, NotFoundError
from core.formats import plain_decimal
from costs.budgets.drafts import BudgetDraft
from costs.budgets.periods import period_words
from costs.budgets.scopes import scope_words
from costs.models import Budget, BudgetChange

MAX_BUDGETS = 1000
_FIELDS = (
    "name", "scope", "value", "project", "period", "rolling_days", "time_zone", "amount_usd", "thresholds",
    "is_hard", "starts_on", "ends_on", "note",
)  # fmt: skip
_TERMS = ("amount_usd", "thresholds", "is_hard", "is_paused")


class NameTakenError(ConflictError):
    """Another budget of the organisation is called the same."""

    code = "budget_name_taken"


def create_budget(*, draft: BudgetDraft, author: User | None, now: dt.datetime) -> Budget:
    """Save a new budget. Raises NameTakenError, ConflictError at MAX_BUDGETS."""
    budget = Budget(organization_id=draft.organization_id, author=author)
    _take(budget, draft)
    with transaction.atomic():
        # One writer of an organisation's budgets at a time, so that MAX_BUDGETS holds.
        Organization.objects.select_for_update().get(pk=draft.organization_id)
        if Budget.objects.filter(organization_id=draft.organization_id).count() >= MAX_BUDGETS:
            raise ConflictError(
                f"The organisation has {MAX_BUDGETS} budgets, the most there can be. Delete ones that ended."
            )
        _save(budget)
        _keep_terms(budget, author, now)
        _audit(budget, author, "budgets.budget.created")
    return budget


@transaction.atomic
def change_budget(
    *, organization_id: UUID, budget_id: UUID, draft: BudgetDraft, author: User | None, now: dt.datetime
) -> Budget:  # fmt: skip
    """Replace what a budget says; nothing is written when it says the same. Raises NotFoundError, NameTakenError."""
    budget = _locked(organization_id, budget_id)
    before = {name: getattr(budget, name) for name in _FIELDS}
    _take(budget, draft)
    changed = [name for name in _FIELDS if getattr(budget, name) != before[name]]
    if not changed:
        return budget
    _save(budget)
    if set(changed) & set(_TERMS):
        _keep_terms(budget, author, now)
    was = {name: _plain(before[name]) for name in changed}
    _audit(budget, author, "budgets.budget.changed", before=was)
    return budget


@transaction.atomic
def pause_budget(
    *, organization_id: UUID, budget_id: UUID, is_paused: bool, author: User | None, now: dt.datetime
) -> Budget:  # fmt: skip
    """Let a budget rest, or take it up again; asking twice changes nothing. Raises NotFoundError."""
    budget = _locked(organization_id, budget_id)
    if budget.is_paused == is_paused:
        return budget
    budget.is_paused = is_paused
    budget.save(update_fields=["is_paused", "updated_at"])
    _keep_terms(budget, author, now)
    _audit(budget, author, "budgets.budget.paused" if is_paused else "budgets.budget.resumed")
    return budget


@transaction.atomic
def delete_budget(*, organization_id: UUID, budget_id: UUID, author: User | None) -> None:
    """Remove a budget and its history; the audit trail keeps what it said. Raises NotFoundError."""
    budget = _locked(organization_id, budget_id)
    _audit(budget, author, "budgets.budget.deleted")
    budget.delete()


def _locked(organization_id: UUID, budget_id: UUID) -> Budget:
    found = (
        Budget.objects.select_for_update(of=("self",))
        .select_related("project", "organization")
        .filter(organization_id=organization_id, pk=budget_id)
        .first()
    )
    if found is None:
        raise NotFoundError("There is no such budget, or it was deleted.")
    return found


def _take(budget: Budget, draft: BudgetDraft) -> None:
    for name in _FIELDS:
        setattr(budget, name, getattr(draft, name))


def _save(budget: Budget) -> None:
    """Raises NameTakenError."""
    try:
        with transaction.atomic():
            budget.save()
    except IntegrityError as error:
        if "costs_budget_name" not in str(error):
            raise
        raise NameTakenError(
            f"There is a budget called {budget.name!r}. Choose another name.", fields=["name"]
        ) from None


def _keep_terms(budget: Budget, author: User | None, now: dt.datetime) -> None:
    """What holds from now on. Two changes in one instant are one."""
    BudgetChange.objects.update_or_create(
        budget=budget,
        valid_from=now,
        defaults={name: getattr(budget, name) for name in _TERMS} | {"author": author},
    )


def _plain(value: Any) -> Any:
    """A field as JSON keeps it."""
    if value is None or isinstance(value, (str, bool, int, list)):
        return value
    return plain_decimal(value) if hasattr(value, "quantize") else str(value)


def _audit(budget: Budget, author: User | None, action: str, **more: Any) -> None:
    record_audit_event(
        organization_id=budget.organization_id,
        actor=author,
        action=action,
        target=budget.name,
        data={
            "budget": str(budget.pk),
            "counts": scope_words(budget),
            "amount_usd": plain_decimal(budget.amount_usd),
            "period": period_words(budget),
            "thresholds": budget.thresholds,
            "is_hard": budget.is_hard,
            **more,
        },
    )
