"""Who may use the routes of incidents and maintenance windows."""

from accounts.models import Role
from tests.factories.alerts import AlertEventFactory, DeliveryFactory, MaintenanceFactory
from tests.matrix.access import READ, A, Access, Api, LoggedIn, M, Matrix, Page, V
from tests.world import World

_ALERTS = "organizations/<slug:slug>/alerts/"
_ONE = f"{_ALERTS}events/<uuid:event_id>/"
_QUIET = f"{_ALERTS}maintenance/"
_WINDOW = f"{_QUIET}<uuid:maintenance_id>/"
_API = "api/v1/organizations/<slug:organization>/alerts"
_EVENT = f"{_API}/events/<uuid:event>"
_PROJECT = "api/v1/projects/<str:project>/alerts/events"


def _people(role: Role) -> Access:
    return Api(role, "read", needs_person=True)


ROUTES: Matrix = {
    "alerts/": {"GET": LoggedIn()},
    _ALERTS: READ,
    f"{_ALERTS}acknowledgements/": {"POST": Page(M)},
    f"{_ALERTS}history/": READ,
    f"{_ALERTS}history/export.csv": READ,
    _ONE: READ,
    f"{_ONE}acknowledge/": {"GET": Page(), "POST": Page(M)},
    f"{_ONE}snooze/": {"GET": Page(), "POST": Page(M)},
    f"{_ONE}comments/": {"POST": Page(M)},
    f"{_ONE}mute/": {"POST": Page(A)},
    f"{_ONE}messages/": {"POST": Page(M)},
    _QUIET: READ,
    f"{_QUIET}export.csv": READ,
    f"{_QUIET}new/": {"GET": Page(A), "POST": Page(A)},
    f"{_WINDOW}edit/": {"GET": Page(A), "POST": Page(A)},
    f"{_WINDOW}end/": {"POST": Page(A)},
    f"{_WINDOW}deletion/": {"POST": Page(A)},
    f"{_API}/events": {"GET": _people(V)},
    _EVENT: {"GET": _people(V)},
    f"{_EVENT}/acknowledgement": {"POST": _people(M), "DELETE": _people(M)},
    f"{_EVENT}/snooze": {"POST": _people(M), "DELETE": _people(M)},
    f"{_EVENT}/comments": {"POST": _people(M)},
    f"{_EVENT}/deliveries": {"GET": _people(V)},
    f"{_EVENT}/deliveries/<int:delivery>/replay": {"POST": _people(M)},
    f"{_EVENT}/deliveries/<int:delivery>/cancellation": {"POST": _people(M)},
    _PROJECT: {"GET": Api(V, "read")},
    f"{_PROJECT}/<uuid:event>": {"GET": Api(V, "read")},
    f"{_API}/maintenance": {"GET": _people(V), "POST": _people(A)},
    f"{_API}/maintenance/<uuid:maintenance>": {
        "GET": _people(V), "PUT": _people(A), "DELETE": _people(A),
    },
    f"{_API}/maintenance/<uuid:maintenance>/end": {"POST": _people(A)},
}  # fmt: skip
PARAMETERS = {
    "event_id": lambda world, route: world.names["event_id"],
    "event": lambda world, route: world.names["event_id"],
    "delivery": lambda world, route: world.names["delivery_id"],
    "maintenance_id": lambda world, route: world.names["maintenance_id"],
    "maintenance": lambda world, route: world.names["maintenance_id"],
}


def extend(world: World) -> None:
    """An incident of the project with a message, and a window, to ask about."""
    event = AlertEventFactory.create(organization=world.organization, project=world.project)
    world.names["event_id"] = event.pk
    world.names["delivery_id"] = DeliveryFactory.create(event=event, state="dead").pk
    world.names["maintenance_id"] = MaintenanceFactory.create(organization=world.organization).pk
