"""Who may use the routes of the gateway's connections and their keys."""

from tests.factories.gateway import ConnectionFactory, ConnectionKeyFactory
from tests.matrix.access import READ, A, Access, Api, Matrix, Page, V
from tests.world import World

_PAGES = "organizations/<slug:slug>/gateway/connections/"
_ONE = f"{_PAGES}<uuid:gateway_connection_id>/"
_KEY = f"{_ONE}keys/<uuid:gateway_key_id>/"
_API = "api/v1/organizations/<slug:organization>/gateway/connections"
_API_ONE = f"{_API}/<uuid:gateway_connection>"
_API_KEY = f"{_API_ONE}/keys/<uuid:gateway_key>"


def _person(role=V):  # type: ignore[no-untyped-def]
    return Api(role, "read", needs_person=True)


_SEND: dict[str, Access] = {"POST": Page(A)}
_FORM: dict[str, Access] = {"GET": Page(A), "POST": Page(A)}
ROUTES: Matrix = {
    _PAGES: READ,
    f"{_PAGES}export.csv": READ,
    f"{_PAGES}new/": _FORM,
    _ONE: READ,
    f"{_ONE}edit/": _FORM,
    **{f"{_ONE}{verb}/": _SEND for verb in ("switch", "test", "models", "deletion")},
    f"{_ONE}keys/new/": _FORM,
    _KEY: {"GET": Page(A)},
    **{f"{_KEY}{verb}/": _SEND for verb in ("weight", "rotation", "revocation")},
    _API: {"GET": _person(), "POST": _person(A)},
    f"{_API}/kinds": {"GET": _person()},
    _API_ONE: {"GET": _person(), "PATCH": _person(A), "DELETE": _person(A)},
    f"{_API_ONE}/test": {"POST": _person(A)},
    f"{_API_ONE}/keys": {"POST": _person(A)},
    _API_KEY: {"PATCH": _person(A), "DELETE": _person(A)},
    f"{_API_KEY}/rotation": {"POST": _person(A)},
}
PARAMETERS = {
    name: lambda world, route, key=key: world.names[key]
    for key, names in {
        "gateway_connection": ("gateway_connection", "gateway_connection_id"),
        "gateway_key": ("gateway_key", "gateway_key_id"),
    }.items()
    for name in names
}


def extend(world: World) -> None:
    """A connection and its key."""
    connection = ConnectionFactory.create(organization=world.organization)
    key = ConnectionKeyFactory.create(connection=connection)
    world.names |= {"gateway_connection": connection.pk, "gateway_key": key.pk}
