"""Pages of channels and their messages, joined in alerts.urls."""

from django.urls import path

from alerts.channel_pages import actions, replays, views

_CHANNELS = "organizations/<slug:slug>/alerts/channels/"
_ONE = f"{_CHANNELS}<uuid:channel_id>/"
_MESSAGE = "organizations/<slug:slug>/alerts/messages/<int:delivery_id>/"
urlpatterns = [
    path(_CHANNELS, views.channel_list, name="channel_list"),
    path(f"{_CHANNELS}export.csv", views.channel_export, name="channel_export"),
    path(f"{_CHANNELS}new/", views.channel_create, name="channel_create"),
    path(_ONE, views.channel_detail, name="channel_detail"),
    path(f"{_ONE}edit/", views.channel_edit, name="channel_edit"),
    path(f"{_ONE}switch/", actions.channel_switch, name="channel_switch"),
    path(f"{_ONE}test/", actions.channel_test, name="channel_test"),
    path(f"{_ONE}secret/", actions.channel_secret, name="channel_secret"),
    path(f"{_ONE}deletion/", actions.channel_deletion, name="channel_deletion"),
    path(f"{_ONE}replays/", replays.dead_replay, name="dead_replay"),
    path(f"{_MESSAGE}replay/", replays.delivery_replay, name="delivery_replay"),
    path(f"{_MESSAGE}cancellation/", replays.delivery_cancellation, name="delivery_cancellation"),
]
