"""Cost pages: the dashboard, its panels and its export."""

from django.urls import path

from costs import views

app_name = "costs"

_DASHBOARD = "projects/<slug:slug>/dashboard/"
urlpatterns = [
    path("projects/spend/", views.project_spend_panel, name="project_spend_panel"),
    path(_DASHBOARD, views.dashboard, name="dashboard"),
    path(f"{_DASHBOARD}export.csv", views.dashboard_export, name="dashboard_export"),
    path(f"{_DASHBOARD}pulse/", views.usage_pulse, name="usage_pulse"),
    path(f"{_DASHBOARD}filters/", views.filters_panel, name="filters_panel"),
    path(f"{_DASHBOARD}panels/figures/", views.figures_panel, name="figures_panel"),
    path(f"{_DASHBOARD}panels/spend/", views.spend_panel, name="spend_panel"),
    path(f"{_DASHBOARD}panels/mix/", views.mix_panel, name="mix_panel"),
    path(f"{_DASHBOARD}panels/models/", views.models_panel, name="models_panel"),
    path(f"{_DASHBOARD}panels/who/", views.who_panel, name="who_panel"),
    path(f"{_DASHBOARD}panels/attention/", views.attention_panel, name="attention_panel"),
]
