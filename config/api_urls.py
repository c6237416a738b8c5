"""The JSON API under `/api/v1/`, its OpenAPI document and its reader."""

from django.urls import include, path
from drf_spectacular.views import SpectacularSwaggerSplitView

from config.openapi import document

urlpatterns = [
    path("v1/openapi.json", document, {"form": "json"}, name="openapi"),
    path("v1/openapi.yaml", document, {"form": "yaml"}, name="openapi_yaml"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="openapi"), name="api_docs"),
    path("v1/", include("projects.api_urls")),
    path("v1/", include("costs.api_urls")),
    path("v1/", include("traces.api_urls")),
    path("v1/", include("gateway.api_urls")),
    path("v1/", include("alerts.api_urls")),
]
