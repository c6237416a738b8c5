"""API of this area, joined in alerts.api_urls."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
