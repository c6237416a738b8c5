"""Which calls a budget counts: its scope in the words of the sums, of a call, and of people (pure).

A team is whose the organisation's rules say (costs.budgets.teams), without rules the tag `team:<name>`, as in
costs.explorer; a customer is a tag budget on `customer:<name>`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from costs.models.budgets import BudgetScope

TEAM = "team:"
_DIMENSIONS = {
    BudgetScope.TAG: "tag",
    BudgetScope.USER: "user",
    BudgetScope.KEY: "api_key",
}


class Scoped(Protocol):
    """What says which calls count: a Budget or a draft of one."""

    @property
    def scope(self) -> str: ...
    @property
    def value(self) -> str: ...
    @property
    def project_id(self) -> UUID | None: ...


@dataclass(frozen=True)
class Slot:
    """Where the sums of a scope are: dimension and value, and the row fields they are narrowed by (None: any).

    With a `team` the organisation's rules say which calls count, where it has any; the sums are right where not.
    """

    dimension: str
    value: str
    model: str | None = None
    agent: str | None = None
    team: str = ""


@dataclass(frozen=True)
class Call:
    """A call that asks what applies to it. An empty field is unknown. `team` is whose it is by the organisation's
    rules; None: there are none, its tags say."""

    project_id: UUID
    user: str = ""
    key: str = ""
    model: str = ""
    agent: str = ""
    tags: Collection[str] = ()
    team: str | None = None


def slot_of(budget: Scoped) -> Slot:
    """A scope as the sums keep it."""
    if budget.scope == BudgetScope.MODEL:
        return Slot("all", "", model=budget.value)
    if budget.scope == BudgetScope.AGENT:
        return Slot("all", "", agent=budget.value)
    if budget.scope == BudgetScope.TEAM:
        return Slot("tag", TEAM + budget.value, team=budget.value)
    dimension = _DIMENSIONS.get(BudgetScope(budget.scope))
    return Slot(dimension, budget.value) if dimension else Slot("all", "")


def counts(budget: Scoped, call: Call) -> bool:
    """Whether a call of the budget's organisation counts towards it."""
    if budget.project_id is not None and budget.project_id != call.project_id:
        return False
    value = budget.value
    match budget.scope:
        case BudgetScope.TEAM:
            return TEAM + value in call.tags if call.team is None else value == call.team
        case BudgetScope.TAG:
            return value in call.tags
        case BudgetScope.USER:
            return value == call.user
        case BudgetScope.KEY:
            return value == call.key
        case BudgetScope.MODEL:
            return value == call.model
        case BudgetScope.AGENT:
            return value == call.agent
    return True


def filters_of(budget: Scoped) -> dict[str, str]:
    """The filter of cost pages that shows the calls behind a budget."""
    slot = slot_of(budget)
    if slot.model is not None:
        return {"model": slot.model}
    if slot.agent is not None:
        return {"agent": slot.agent}
    return {slot.dimension: slot.value} if slot.value else {}


def scope_words(budget: Any, *, key_name: str = "") -> str:
    """`Whole organisation`, `Project Support`, `User u_1 in Support`, `Tag batch in all projects`."""
    if budget.scope == BudgetScope.ORGANIZATION:
        return "Whole organisation"
    project = budget.project.name if budget.project_id else ""
    if budget.scope == BudgetScope.PROJECT:
        return f"Project {project}"
    shown = key_name or budget.value
    where = f"in {project}" if project else "in all projects"
    return f"{BudgetScope(budget.scope).label} {shown} {where}"
