"""Who may use the routes of budgets."""

from tests.factories.budgets import BudgetFactory
from tests.matrix.access import READ, A, Api, Matrix, Page, V
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
    _API: {"GET": Api(V, "read", needs_person=True), "POST": Api(A, "read", needs_person=True)},
    f"{_API}/previews": {"POST": Api(A, "read", needs_person=True)},
    f"{_API}/<uuid:budget>": {
        "GET": Api(V, "read", needs_person=True),
        **dict.fromkeys(("PUT", "PATCH", "DELETE"), Api(A, "read", needs_person=True)),
    },
    f"{_API}/<uuid:budget>/history": {"GET": Api(V, "read", needs_person=True)},
    "api/v1/projects/<str:project>/budgets": {"GET": Api(V, "read")},
}
PARAMETERS = {
    "budget_id": lambda world, route: world.names["budget_id"],
    "budget": lambda world, route: world.names["budget_id"],
}


def extend(world: World) -> None:
    """A budget to ask about."""
    world.names["budget_id"] = BudgetFactory.create(organization=world.organization).pk
