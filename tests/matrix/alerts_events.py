"""Who may use the routes of incidents and maintenance windows."""

from tests.factories.alerts import AlertEventFactory
from tests.matrix.access import READ, LoggedIn, Matrix
from tests.world import World

_ALERTS = "organizations/<slug:slug>/alerts/"
_ONE = f"{_ALERTS}events/<uuid:event_id>/"
ROUTES: Matrix = {
    "alerts/": {"GET": LoggedIn()},
    _ALERTS: READ,
    f"{_ALERTS}history/": READ,
    _ONE: READ,
    f"{_ONE}acknowledge/": READ,
    f"{_ONE}snooze/": READ,
    f"{_ALERTS}maintenance/": READ,
}
PARAMETERS = {"event_id": lambda world, route: world.names["event_id"]}


def extend(world: World) -> None:
    """An incident to ask about."""
    world.names["event_id"] = AlertEventFactory.create(organization=world.organization).pk
