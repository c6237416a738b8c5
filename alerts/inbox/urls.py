"""The bell, the inbox and a person's preferences, joined in alerts.urls."""

from django.urls import path

from alerts.inbox import preference_views, views

_ALERTS = "organizations/<slug:slug>/alerts/"
urlpatterns = [
    path(f"{_ALERTS}bell/", views.bell, name="bell"),
    path(f"{_ALERTS}inbox/", views.inbox, name="inbox"),
    path(f"{_ALERTS}preferences/", preference_views.preference_page, name="preferences"),
    path(f"{_ALERTS}preferences/digest/", preference_views.digest_sending, name="digest_sending"),
    path(
        "alerts/digests/unsubscribe/<str:digest_token>/",
        preference_views.digest_unsubscribe,
        name="digest_unsubscribe",
    ),
    path(f"{_ALERTS}inbox/read/", views.inbox_read, name="inbox_read"),
    path(f"{_ALERTS}inbox/<uuid:event_id>/read/", views.inbox_event_read, name="inbox_event_read"),
]
