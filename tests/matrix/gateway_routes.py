"""Who may use routes of the gateway and a project's gateway settings."""

from tests.factories.gateway import ConnectionFactory, RouteFactory
from tests.matrix.access import READ, A, Access, Matrix, Page, V
from tests.world import World

_GATEWAY = "projects/<slug:slug>/gateway/"
_ROUTES = f"{_GATEWAY}routes/"
_ONE = f"{_ROUTES}<uuid:route_id>/"
_FORM: dict[str, Access] = {"GET": Page(A), "POST": Page(A)}
_SEND: dict[str, Access] = {"POST": Page(A)}
ROUTES: Matrix = {
    _ROUTES: READ,
    f"{_ROUTES}export.csv": READ,
    f"{_ROUTES}new/": _FORM,
    f"{_ROUTES}dry-run/": READ,
    _ONE: READ,
    f"{_ONE}edit/": _FORM,
    **{f"{_ONE}{verb}/": _SEND for verb in ("enabled", "copy", "deletion")},
    f"{_GATEWAY}settings/": {"GET": Page(V), "POST": Page(A)},
}
PARAMETERS = {
    "route_id": lambda world, route: world.names["gateway_route"],
    "gateway_route": lambda world, route: world.names["gateway_route"],
}


def extend(world: World) -> None:
    """A route to ask about."""
    connection = ConnectionFactory.create(organization=world.organization)
    target = {"connection": connection.pk.hex, "model": "gpt-4o"}
    route = RouteFactory.create(project=world.project, rules={"targets": [target]})
    world.names["gateway_route"] = route.pk
