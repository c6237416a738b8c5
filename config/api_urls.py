"""The JSON API under `/api/v1/`, its OpenAPI document and its reader."""

from django.urls import include, path
from drf_spectacular.views import (
    SpectacularJSONAPIView,
    SpectacularSwaggerSplitView,
    SpectacularYAMLAPIView,
)

urlpatterns = [
    path("v1/openapi.json", SpectacularJSONAPIView.as_view(), name="openapi"),
    path("v1/openapi.yaml", SpectacularYAMLAPIView.as_view(), name="openapi_yaml"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="openapi"), name="api_docs"),
    path("v1/", include("projects.api_urls")),
    path("v1/", include("costs.api_urls")),
    path("v1/", include("traces.api_urls")),
]
