"""Addresses of incidents and maintenance windows in the API, joined in alerts.api_urls."""

from alerts.events import api, maintenance_api
from core.api.routes import endpoint

_ALERTS = "organizations/<slug:organization>/alerts"
_EVENT = f"{_ALERTS}/events/<uuid:event>"
_DELIVERY = f"{_EVENT}/deliveries/<int:delivery>"
_WINDOW = f"{_ALERTS}/maintenance/<uuid:maintenance>"
_PROJECT = "projects/<str:project>/alerts/events"
urlpatterns = [
    *endpoint(f"{_ALERTS}/events", api.AlertEventListView, "alert_event_list_api"),
    *endpoint(_EVENT, api.AlertEventView, "alert_event_api"),
    *endpoint(f"{_EVENT}/acknowledgement", api.AlertEventAcknowledgementView, "alert_event_acknowledgement_api"),
    *endpoint(f"{_EVENT}/snooze", api.AlertEventSnoozeView, "alert_event_snooze_api"),
    *endpoint(f"{_EVENT}/comments", api.AlertEventCommentView, "alert_event_comment_api"),
    *endpoint(f"{_EVENT}/deliveries", api.EventDeliveryListView, "alert_event_delivery_list_api"),
    *endpoint(f"{_DELIVERY}/replay", api.EventDeliveryReplayView, "alert_event_delivery_replay_api"),
    *endpoint(f"{_DELIVERY}/cancellation", api.EventDeliveryCancellationView, "alert_event_delivery_cancel_api"),
    *endpoint(_PROJECT, api.ProjectAlertEventListView, "project_alert_event_list_api"),
    *endpoint(f"{_PROJECT}/<uuid:event>", api.ProjectAlertEventView, "project_alert_event_api"),
    *endpoint(f"{_ALERTS}/maintenance", maintenance_api.MaintenanceListView, "maintenance_list_api"),
    *endpoint(_WINDOW, maintenance_api.MaintenanceView, "maintenance_api"),
    *endpoint(f"{_WINDOW}/end", maintenance_api.MaintenanceEndView, "maintenance_end_api"),
]  # fmt: skip
