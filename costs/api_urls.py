"""Cost addresses of the API. The ingestion doors own `projects/<project>/costs` and hand GET to `costs.api`; it is
listed here as well so that the OpenAPI document has it."""

from core.api.routes import endpoint
from costs import api, panel_api, price_api
from costs.allocation import api_urls as allocation_urls
from costs.billing import api_urls as billing_urls
from costs.budgets import api_urls as budget_urls
from costs.estimates import api_urls as estimate_urls
from costs.explorer import api_urls as explorer_urls
from costs.exporting import api_urls as export_urls
from costs.forecasting import api_urls as forecasting_urls
from costs.reconciliation import api_urls as reconciliation_urls

urlpatterns = [
    *endpoint("projects/<str:project>/costs", api.CostListView, "cost_list_api"),
    *endpoint(
        "projects/<str:project>/costs/records", api.CostRecordListView, "cost_record_list_api"
    ),
    *endpoint("projects/<str:project>/costs/series", panel_api.CostSeriesView, "cost_series_api"),
    *endpoint(
        "projects/<str:project>/costs/breakdown", panel_api.CostBreakdownView, "cost_breakdown_api"
    ),
    *endpoint(
        "projects/<str:project>/costs/percentiles",
        panel_api.CostPercentilesView,
        "cost_percentiles_api",
    ),
    *endpoint("projects/<str:project>/models", api.ModelListView, "model_list_api"),
    *endpoint("projects/<str:project>/prices", price_api.ProjectPricesView, "project_prices_api"),
    *endpoint(
        "organizations/<slug:organization>/prices", price_api.PriceListView, "price_list_api"
    ),
    *endpoint(
        "organizations/<slug:organization>/prices/previews",
        price_api.PricePreviewListView,
        "price_preview_list_api",
    ),
    *endpoint(
        "organizations/<slug:organization>/prices/previews/<uuid:job>",
        price_api.PricePreviewView,
        "price_preview_api",
    ),
    *endpoint(
        "organizations/<slug:organization>/prices/previews/<uuid:job>/application",
        price_api.PriceApplicationView,
        "price_application_api",
    ),
    *endpoint(
        "organizations/<slug:organization>/prices/<int:number>",
        price_api.PriceRuleView,
        "price_rule_api",
    ),
    *billing_urls.urlpatterns,
    *estimate_urls.urlpatterns,
    *budget_urls.urlpatterns,
    *explorer_urls.urlpatterns,
    *forecasting_urls.urlpatterns,
    *export_urls.urlpatterns,
    *allocation_urls.urlpatterns,
    *reconciliation_urls.urlpatterns,
]
