"""Every URL: pages, ingestion doors, API, operators."""

from django.contrib import admin
from django.urls import include, path

from core import health, metrics

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
    path("", include("traces.door_urls")),
    path("api/", include("config.api_urls")),
    path("accounts/", include("allauth.account.urls")),
    path("", include("accounts.urls")),
    path("", include("projects.urls")),
    path("", include("costs.urls")),
    path("", include("traces.urls")),
    path("", include("gateway.urls")),
    path("", include("alerts.urls")),
    path("admin/", admin.site.urls),
]

handler404 = "core.middleware.page_not_found"
handler500 = "core.middleware.server_error"
