"""Addresses of reconciliation in the API."""

from core.api.routes import endpoint
from costs.reconciliation import api

_BASE = "organizations/<slug:organization>/reconciliation"
urlpatterns = [
    *endpoint(_BASE, api.ReconciliationView, "reconciliation_api"),
    *endpoint(f"{_BASE}/cells", api.CellListView, "reconciliation_cells_api"),
    *endpoint(f"{_BASE}/prices", api.PriceCheckListView, "reconciliation_prices_api"),
]
