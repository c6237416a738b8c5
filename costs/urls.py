"""Cost pages: the dashboard, its panels and its export."""

from django.urls import path

from costs import arrangement_views, views

app_name = "costs"

_DASHBOARD = "projects/<slug:slug>/dashboard/"
urlpatterns = [
    path("projects/spend/", views.project_spend_panel, name="project_spend_panel"),
    path(_DASHBOARD, views.dashboard, name="dashboard"),
    path(f"{_DASHBOARD}export.csv", views.dashboard_export, name="dashboard_export"),
    path(f"{_DASHBOARD}pulse/", views.usage_pulse, name="usage_pulse"),
    path(f"{_DASHBOARD}filters/", views.filters_panel, name="filters_panel"),
    path(
        f"{_DASHBOARD}arrangement/",
        arrangement_views.dashboard_arrangement,
        name="dashboard_arrangement",
    ),
    *(
        path(
            f"{_DASHBOARD}panels/{key.replace('_', '-')}/",
            views.panel,
            {"key": key},
            name=f"{key}_panel",
        )
        for key in (*views.OTHERS, *views.CHARTS)
    ),
]
