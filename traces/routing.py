"""Websocket paths of traces."""

from django.urls import path

from traces.consumers import ActivityConsumer, TraceConsumer

websocket_urlpatterns = [
    path("ws/projects/<str:slug>/activity/", ActivityConsumer.as_asgi()),
    path("ws/projects/<str:slug>/traces/<str:trace_id>/", TraceConsumer.as_asgi()),
]
