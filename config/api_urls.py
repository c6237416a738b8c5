"""The JSON API under `/api/v1/`, its OpenAPI document and its reader."""

from importlib.util import find_spec

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
]
for _module in ("costs.api_urls", "traces.api_urls"):
    if find_spec(_module):
        urlpatterns.append(path("v1/", include(_module)))
