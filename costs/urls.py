"""Cost pages: the dashboard, its panels and its export."""

from django.urls import path

from costs import arrangement_views, model_views, price_views, views
from costs.allocation import urls as allocation_urls
from costs.billing import urls as billing_urls
from costs.budgets import urls as budget_urls
from costs.estimates import urls as estimate_urls
from costs.explorer import urls as explorer_urls
from costs.exporting import urls as export_urls
from costs.forecasting import urls as forecasting_urls
from costs.reconciliation import urls as reconciliation_urls

app_name = "costs"

_PRICES = "organizations/<slug:slug>/prices/"
_DASHBOARD = "projects/<slug:slug>/dashboard/"
urlpatterns = [
    path("projects/<slug:slug>/models/", model_views.model_list, name="model_list"),
    path("projects/<slug:slug>/models/export.csv", model_views.model_export, name="model_export"),
    path("projects/<slug:slug>/models/detail/", model_views.model_detail, name="model_detail"),
    path(_PRICES, price_views.price_list, name="price_list"),
    path(f"{_PRICES}export.csv", price_views.price_export, name="price_export"),
    path(f"{_PRICES}new/", price_views.price_create, name="price_create"),
    path(f"{_PRICES}repricing/", price_views.price_repricing, name="price_repricing"),
    path(f"{_PRICES}previews/<uuid:job_id>/", price_views.price_preview, name="price_preview"),
    path(
        f"{_PRICES}previews/<uuid:job_id>/application/",
        price_views.price_application,
        name="price_application",
    ),
    path(f"{_PRICES}<int:number>/", price_views.price_rule, name="price_rule"),
    path(f"{_PRICES}<int:number>/removal/", price_views.price_removal, name="price_removal"),
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
    *billing_urls.urlpatterns,
    *allocation_urls.urlpatterns,
    *estimate_urls.urlpatterns,
    *reconciliation_urls.urlpatterns,
    *budget_urls.urlpatterns,
    *forecasting_urls.urlpatterns,
    *export_urls.urlpatterns,
    *explorer_urls.urlpatterns,
]
