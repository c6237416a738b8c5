"""Cost addresses of the API. `GET projects/<project>/costs` is routed by the ingestion doors, which own that path."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
