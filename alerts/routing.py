"""Websocket paths of alerts."""

from django.urls import path

from alerts.consumers import BellConsumer

websocket_urlpatterns = [path("ws/alerts/<slug:slug>/", BellConsumer.as_asgi())]
