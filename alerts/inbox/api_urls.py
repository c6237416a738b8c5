"""API of the inbox and of preferences, joined in alerts.api_urls."""

from django.urls import path

from alerts.inbox import api

_ALERTS = "organizations/<slug:organization>/alerts/"
urlpatterns = [
    path(f"{_ALERTS}preferences", api.PreferencesView.as_view()),
    path(f"{_ALERTS}inbox", api.InboxView.as_view()),
    path(f"{_ALERTS}inbox/read", api.InboxReadView.as_view()),
]
