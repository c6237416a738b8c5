"""Pages of the explorer and of reports, joined in costs.urls."""

from django.urls import path

from costs.explorer import views

_COSTS = "organizations/<slug:slug>/costs/"
urlpatterns = [
    path("costs/", views.costs_home, name="costs_home"),
    path(_COSTS, views.explorer, name="explorer"),
    path(f"{_COSTS}export.csv", views.explorer_export, name="explorer_export"),
    path(f"{_COSTS}filters/", views.explorer_filters, name="explorer_filters"),
]
