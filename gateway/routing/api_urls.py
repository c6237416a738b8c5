"""Addresses of routes and settings in the API, joined in gateway.api_urls."""

from django.urls import URLPattern

from core.api.routes import endpoint
from gateway.routing import api

_GATEWAY = "projects/<str:project>/gateway"
_ROUTES = f"{_GATEWAY}/routes"
_ONE = f"{_ROUTES}/<uuid:gateway_route>"
urlpatterns: list[URLPattern] = [
    *endpoint(_ROUTES, api.RouteListView, "gateway_route_list_api"),
    *endpoint(_ONE, api.RouteView, "gateway_route_api"),
    *endpoint(f"{_ONE}/copy", api.RouteCopyView, "gateway_route_copy_api"),
    *endpoint(f"{_GATEWAY}/dry-runs", api.DryRunView, "gateway_dry_run_api"),
    *endpoint(f"{_GATEWAY}/settings", api.SettingsView, "gateway_settings_api"),
]
