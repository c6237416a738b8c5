"""Pages of incidents and of maintenance windows, joined in alerts.urls."""

from django.urls import path

from alerts.events import acts, maintenance_views, views

_ALERTS = "organizations/<slug:slug>/alerts/"
_ONE = f"{_ALERTS}events/<uuid:event_id>/"
_QUIET = f"{_ALERTS}maintenance/"
_WINDOW = f"{_QUIET}<uuid:maintenance_id>/"
urlpatterns = [
    path("alerts/", views.alerts_home, name="home"),
    path(_ALERTS, views.firing, name="firing"),
    path(f"{_ALERTS}acknowledgements/", acts.bulk_acknowledge, name="bulk_acknowledge"),
    path(f"{_ALERTS}history/", views.history, name="history"),
    path(f"{_ALERTS}history/export.csv", views.history_export, name="history_export"),
    path(_ONE, views.event_detail, name="event_detail"),
    path(f"{_ONE}acknowledge/", acts.event_acknowledge, name="event_acknowledge"),
    path(f"{_ONE}snooze/", acts.event_snooze, name="event_snooze"),
    path(f"{_ONE}comments/", acts.event_comment, name="event_comment"),
    path(f"{_ONE}mute/", acts.event_mute, name="event_mute"),
    path(f"{_ONE}messages/", acts.event_messages, name="event_messages"),
    path(_QUIET, maintenance_views.maintenance_list, name="maintenance_list"),
    path(f"{_QUIET}export.csv", maintenance_views.maintenance_export, name="maintenance_export"),
    path(f"{_QUIET}new/", maintenance_views.maintenance_create, name="maintenance_create"),
    path(f"{_WINDOW}edit/", maintenance_views.maintenance_edit, name="maintenance_edit"),
    path(f"{_WINDOW}end/", maintenance_views.maintenance_end, name="maintenance_end"),
    path(f"{_WINDOW}deletion/", maintenance_views.maintenance_deletion, name="maintenance_deletion"),
]  # fmt: skip
