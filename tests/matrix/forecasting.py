"""Who may use the routes of forecasts and anomalies."""

from django.utils import timezone

from tests.factories.forecasts import SpendAnomalyFactory, SpendForecastFactory
from tests.matrix.access import READ, Api, M, Matrix, Page, V
from tests.world import World

_FORECAST = "organizations/<slug:slug>/costs/forecast/"
_ANOMALIES = "organizations/<slug:slug>/costs/anomalies/"
_API = "api/v1/organizations/<slug:organization>/anomalies"
_PEOPLE = Api(V, "read", needs_person=True)
_ACTS = Api(M, "read", needs_person=True)
ROUTES: Matrix = {
    _FORECAST: READ,
    f"{_FORECAST}export.csv": READ,
    f"{_FORECAST}refresh/": {"POST": Page(M)},
    f"{_FORECAST}<uuid:forecast_id>/": READ,
    "projects/<slug:slug>/forecast/": READ,
    _ANOMALIES: READ,
    f"{_ANOMALIES}export.csv": READ,
    f"{_ANOMALIES}<uuid:anomaly_id>/": READ,
    f"{_ANOMALIES}<uuid:anomaly_id>/expectation/": {"POST": Page(M)},
    "api/v1/organizations/<slug:organization>/forecasts": {"GET": _PEOPLE},
    _API: {"GET": _PEOPLE},
    f"{_API}/<uuid:anomaly>": {"GET": _PEOPLE},
    f"{_API}/<uuid:anomaly>/expectation": {"POST": _ACTS, "DELETE": _ACTS},
    "api/v1/projects/<str:project>/forecasts": {"GET": Api(V, "read")},
    "api/v1/projects/<str:project>/anomalies": {"GET": Api(V, "read")},
}
PARAMETERS = {
    "forecast_id": lambda world, route: world.names["forecast_id"],
    "anomaly_id": lambda world, route: world.names["anomaly_id"],
    "anomaly": lambda world, route: world.names["anomaly_id"],
}


def extend(world: World) -> None:
    """One of each to ask about."""
    organization = world.organization
    month = timezone.now().date().replace(day=1)
    made = SpendForecastFactory.create(organization=organization, month=month)
    world.names["forecast_id"] = made.pk
    world.names["anomaly_id"] = SpendAnomalyFactory.create(organization=organization).pk
