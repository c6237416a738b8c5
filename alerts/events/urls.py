"""Pages of this area, joined in alerts.urls."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
