"""Pages of incidents and of maintenance windows, joined in alerts.urls."""

from django.urls import path

from alerts.events import maintenance_views, views

_ALERTS = "organizations/<slug:slug>/alerts/"
_ONE = f"{_ALERTS}events/<uuid:event_id>/"
_QUIET = f"{_ALERTS}maintenance/"
urlpatterns = [
    path("alerts/", views.alerts_home, name="home"),
    path(_ALERTS, views.firing, name="firing"),
    path(f"{_ALERTS}history/", views.history, name="history"),
    path(_ONE, views.event_detail, name="event_detail"),
    path(f"{_ONE}acknowledge/", views.event_acknowledge, name="event_acknowledge"),
    path(f"{_ONE}snooze/", views.event_snooze, name="event_snooze"),
    path(_QUIET, maintenance_views.maintenance_list, name="maintenance_list"),
]
