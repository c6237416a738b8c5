"""Addresses of allocation."""

from django.urls import path

from costs.allocation import statement_views, views

_BASE = "organizations/<slug:slug>/allocation/"
_MONTH = f"{_BASE}statements/<str:month>/"
urlpatterns = [
    path(_BASE, views.team_list, name="team_list"),
    path(f"{_BASE}teams/new/", views.team_create, name="team_create"),
    path(f"{_BASE}teams/<uuid:team_id>/", views.team_edit, name="team_edit"),
    path(f"{_BASE}teams/<uuid:team_id>/archive/", views.team_archive, name="team_archive"),
    path(f"{_BASE}rules/", views.rule_add, name="rule_add"),
    path(f"{_BASE}rules/<uuid:rule_id>/", views.rule_change, name="rule_change"),
    path(f"{_BASE}statements/", statement_views.statement_list, name="statement_list"),
    path(
        f"{_BASE}statements/compute/", statement_views.statement_compute, name="statement_compute"
    ),
    path(_MONTH, statement_views.statement_detail, name="statement_detail"),
    path(f"{_MONTH}close/", statement_views.statement_close, name="statement_close"),
    path(f"{_MONTH}export.csv", statement_views.statement_export, name="statement_export"),
]
