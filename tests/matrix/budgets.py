"""Who may use the routes of budgets."""

from tests.factories.budgets import BudgetFactory
from tests.matrix.access import READ, A, Matrix, Page
from tests.world import World

_PAGES = "organizations/<slug:slug>/budgets/"
_API = "api/v1/organizations/<slug:organization>/budgets"
ROUTES: Matrix = {
    _PAGES: READ,
    f"{_PAGES}export.csv": READ,
    f"{_PAGES}new/": {"GET": Page(A), "POST": Page(A)},
    f"{_PAGES}<uuid:budget_id>/": READ,
    f"{_PAGES}<uuid:budget_id>/edit/": {"GET": Page(A), "POST": Page(A)},
    f"{_PAGES}<uuid:budget_id>/pause/": {"POST": Page(A)},
    f"{_PAGES}<uuid:budget_id>/deletion/": {"POST": Page(A)},
    "projects/<slug:slug>/dashboard/panels/budget/": READ,
}
PARAMETERS = {
    "budget_id": lambda world, route: world.names["budget_id"],
    "budget": lambda world, route: world.names["budget_id"],
}


def extend(world: World) -> None:
    """A budget to ask about."""
    world.names["budget_id"] = BudgetFactory.create(organization=world.organization).pk
