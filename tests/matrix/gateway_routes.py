"""Who may use routes of the gateway and a project's gateway settings."""

from tests.factories.gateway import ConnectionFactory, RouteFactory
from tests.matrix.access import READ, A, Access, Api, Matrix, Page, V
from tests.world import World

_GATEWAY = "projects/<slug:slug>/gateway/"
_ROUTES = f"{_GATEWAY}routes/"
_ONE = f"{_ROUTES}<uuid:route_id>/"
_FORM: dict[str, Access] = {"GET": Page(A), "POST": Page(A)}
_API = "api/v1/projects/<str:project>/gateway"
_API_ONE = f"{_API}/routes/<uuid:gateway_route>"
_CHANGE = Api(A, "admin")
_SEND: dict[str, Access] = {"POST": Page(A)}
ROUTES: Matrix = {
    _ROUTES: READ,
    f"{_ROUTES}export.csv": READ,
    f"{_ROUTES}new/": _FORM,
    f"{_ROUTES}dry-run/": READ,
    _ONE: READ,
    f"{_ONE}edit/": _FORM,
    **{f"{_ONE}{verb}/": _SEND for verb in ("enabled", "copy", "deletion")},
    f"{_API}/routes": {"GET": Api(V, "read"), "POST": _CHANGE},
    _API_ONE: {"GET": Api(V, "read"), **dict.fromkeys(("PUT", "PATCH", "DELETE"), _CHANGE)},
    f"{_API_ONE}/copy": {"POST": _CHANGE},
    f"{_API}/dry-runs": {"POST": Api(V, "read")},
    f"{_API}/settings": {"GET": Api(V, "read"), "PATCH": _CHANGE},
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
