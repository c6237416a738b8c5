"""Websocket paths of traces."""

from django.urls import path

from traces.consumers import ActivityConsumer, TraceConsumer
from traces.streams import StreamConsumer

# For programs: a key instead of a session, from anywhere.
key_urlpatterns = [path("ws/v1/projects/<str:project>/stream", StreamConsumer.as_asgi())]
websocket_urlpatterns = [
    path("ws/projects/<str:slug>/activity/", ActivityConsumer.as_asgi()),
    path("ws/projects/<str:slug>/traces/<str:trace_id>/", TraceConsumer.as_asgi()),
]
