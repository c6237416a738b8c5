"""The bell, the inbox and a person's preferences, joined in alerts.urls."""

from django.urls import path

from alerts.inbox import views

_ALERTS = "organizations/<slug:slug>/alerts/"
urlpatterns = [
    path(f"{_ALERTS}bell/", views.bell, name="bell"),
    path(f"{_ALERTS}inbox/", views.inbox, name="inbox"),
    path(f"{_ALERTS}inbox/read/", views.inbox_read, name="inbox_read"),
    path(f"{_ALERTS}inbox/<uuid:event_id>/read/", views.inbox_event_read, name="inbox_event_read"),
]
