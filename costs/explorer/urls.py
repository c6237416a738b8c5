"""Pages of the explorer and of reports, joined in costs.urls."""

from django.urls import path

from costs.explorer import report_views, views

_COSTS = "organizations/<slug:slug>/costs/"
_REPORTS = f"{_COSTS}reports/"
_ONE = f"{_REPORTS}<uuid:report_id>/"
urlpatterns = [
    path(
        "costs/reports/unsubscribe/<str:subscription>/",
        report_views.report_unsubscribe,
        name="report_unsubscribe",
    ),
    path("costs/", views.costs_home, name="costs_home"),
    path(_COSTS, views.explorer, name="explorer"),
    path(f"{_COSTS}export.csv", views.explorer_export, name="explorer_export"),
    path(f"{_COSTS}filters/", views.explorer_filters, name="explorer_filters"),
    path(_REPORTS, report_views.report_list, name="report_list"),
    path(f"{_REPORTS}export.csv", report_views.report_export, name="report_export"),
    path(f"{_REPORTS}new/", report_views.report_create, name="report_create"),
    path(_ONE, report_views.report_edit, name="report_edit"),
    path(f"{_ONE}schedule/", report_views.report_schedule, name="report_schedule"),
    path(f"{_ONE}sending/", report_views.report_sending, name="report_sending"),
    path(f"{_ONE}deletion/", report_views.report_deletion, name="report_deletion"),
]
