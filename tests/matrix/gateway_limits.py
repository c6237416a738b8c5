"""Who may use the routes of the gateway's limits."""

from tests.factories.gateway import LimitFactory
from tests.matrix.access import READ, A, Access, Api, Matrix, Page, V
from tests.world import World

_PAGES = "organizations/<slug:slug>/gateway/limits/"
_ONE = f"{_PAGES}<uuid:gateway_limit_id>/"
_API = "api/v1/organizations/<slug:organization>/gateway/limits"
_CHANGE = Api(A, "read", needs_person=True)
_SEEN = Api(V, "read", needs_person=True)
_FORM: dict[str, Access] = {"GET": Page(A), "POST": Page(A)}
ROUTES: Matrix = {
    _PAGES: READ,
    f"{_PAGES}export.csv": READ,
    f"{_PAGES}new/": _FORM,
    _ONE: READ,
    f"{_ONE}edit/": _FORM,
    f"{_ONE}pause/": {"POST": Page(A)},
    f"{_ONE}deletion/": {"POST": Page(A)},
    _API: {"GET": _SEEN, "POST": _CHANGE},
    f"{_API}/<uuid:gateway_limit>": {"GET": _SEEN, "PATCH": _CHANGE, "DELETE": _CHANGE},
}
PARAMETERS = {
    name: lambda world, route: world.names["gateway_limit"]
    for name in ("gateway_limit", "gateway_limit_id")
}


def extend(world: World) -> None:
    """A limit to ask about."""
    world.names["gateway_limit"] = LimitFactory.create(organization=world.organization).pk
