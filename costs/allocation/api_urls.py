"""Addresses of allocation in the API."""

from core.api.routes import endpoint
from costs.allocation import api

_BASE = "organizations/<slug:organization>"
urlpatterns = [
    *endpoint(f"{_BASE}/teams", api.TeamListView, "team_list_api"),
    *endpoint(f"{_BASE}/teams/<uuid:team_id>", api.TeamDetailView, "team_api"),
    *endpoint(f"{_BASE}/allocation-rules", api.AllocationRuleListView, "allocation_rule_list_api"),
    *endpoint(
        f"{_BASE}/allocation-rules/<uuid:rule_id>", api.AllocationRuleView, "allocation_rule_api"
    ),
    *endpoint(f"{_BASE}/statements", api.StatementListView, "statement_list_api"),
    *endpoint(f"{_BASE}/statements/<str:month>", api.StatementDetailView, "statement_api"),
    *endpoint(
        f"{_BASE}/statements/<str:month>/closure", api.StatementClosureView, "statement_closure_api"
    ),
]
