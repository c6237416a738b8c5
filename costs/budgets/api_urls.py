"""Addresses of budgets in the API, joined in costs.api_urls."""

from core.api.routes import endpoint
from costs.budgets import api

_BUDGETS = "organizations/<slug:organization>/budgets"
urlpatterns = [
    *endpoint(_BUDGETS, api.BudgetListView, "budget_list_api"),
    *endpoint(f"{_BUDGETS}/previews", api.BudgetPreviewView, "budget_preview_api"),
    *endpoint(f"{_BUDGETS}/<uuid:budget>", api.BudgetView, "budget_api"),
    *endpoint(f"{_BUDGETS}/<uuid:budget>/history", api.BudgetHistoryView, "budget_history_api"),
    *endpoint("projects/<str:project>/budgets", api.ProjectBudgetsView, "project_budgets_api"),
]
