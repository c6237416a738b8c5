"""Who may use the routes of alert rules."""

from tests.factories.alerts import AlertFactory
from tests.matrix.access import READ, A, Api, Matrix, Page, V
from tests.world import World

_RULES = "organizations/<slug:slug>/alerts/rules/"
_ONE = f"{_RULES}<uuid:alert_id>/"
_API = "api/v1/organizations/<slug:organization>/alerts"
_OF_PROJECT = "api/v1/projects/<str:project>/alerts"
_CHANGE = Api(A, "read", needs_person=True)
ROUTES: Matrix = {
    _RULES: READ,
    f"{_RULES}export.csv": READ,
    f"{_RULES}selected/": {"POST": Page(A)},
    f"{_RULES}recommended/": {"POST": Page(A)},
    f"{_RULES}new/": {"GET": Page(A), "POST": Page(A)},
    _ONE: READ,
    "organizations/<slug:slug>/alerts/panels/budget/<uuid:budget_id>/": READ,
    f"{_ONE}edit/": {"GET": Page(A), "POST": Page(A)},
    **{f"{_ONE}{name}/": {"POST": Page(A)} for name in ("enabled", "mute", "test", "deletion")},
    _API: {"GET": Api(V, "read", needs_person=True), "POST": _CHANGE},
    f"{_API}/kinds": {"GET": Api(V, "read", needs_person=True)},
    f"{_API}/previews": {"POST": _CHANGE},
    f"{_API}/<uuid:alert>": {
        "GET": Api(V, "read", needs_person=True),
        **dict.fromkeys(("PUT", "PATCH", "DELETE"), _CHANGE),
    },
    f"{_API}/<uuid:alert>/mute": {"PUT": _CHANGE, "DELETE": _CHANGE},
    f"{_API}/<uuid:alert>/test": {"POST": _CHANGE},
    _OF_PROJECT: {"GET": Api(V, "read"), "POST": Api(A, "admin")},
    f"{_OF_PROJECT}/<uuid:alert>": {
        "GET": Api(V, "read"),
        **dict.fromkeys(("PUT", "PATCH", "DELETE"), Api(A, "admin")),
    },
}
PARAMETERS = {
    "alert_id": lambda world, route: world.names["alert_id"],
    "alert": lambda world, route: world.names["alert_id"],
}


def extend(world: World) -> None:
    """A rule of the world's project to ask about."""
    made = AlertFactory.create(organization=world.organization, project=world.project)
    world.names["alert_id"] = made.pk
