"""Pages of routes and of a project's gateway settings, joined in gateway.urls."""

from django.urls import URLPattern, path

from gateway.routing import edit_views, settings_views, views

_GATEWAY = "projects/<slug:slug>/gateway/"
_ROUTES = f"{_GATEWAY}routes/"
_ONE = f"{_ROUTES}<uuid:route_id>/"
urlpatterns: list[URLPattern] = [
    path(_ROUTES, views.route_list, name="route_list"),
    path(f"{_ROUTES}export.csv", views.route_export, name="route_export"),
    path(f"{_ROUTES}new/", edit_views.route_create, name="route_create"),
    path(f"{_ROUTES}dry-run/", views.route_dry_run, name="route_dry_run"),
    path(_ONE, views.route_detail, name="route_detail"),
    path(f"{_ONE}edit/", edit_views.route_edit, name="route_edit"),
    path(f"{_ONE}enabled/", edit_views.route_enabled, name="route_enabled"),
    path(f"{_ONE}copy/", edit_views.route_copy, name="route_copy"),
    path(f"{_ONE}deletion/", edit_views.route_deletion, name="route_deletion"),
    path(f"{_GATEWAY}settings/", settings_views.settings, name="settings"),
]
