"""Addresses of rules in the API, joined in alerts.api_urls."""

from alerts.rules import api, project_api
from core.api.routes import endpoint

_ALERTS = "organizations/<slug:organization>/alerts"
_OF_PROJECT = "projects/<str:project>/alerts"
urlpatterns = [
    *endpoint(_ALERTS, api.RuleListView, "alert_list_api"),
    *endpoint(f"{_ALERTS}/kinds", api.RuleKindsView, "alert_kinds_api"),
    *endpoint(f"{_ALERTS}/previews", api.RulePreviewView, "alert_preview_api"),
    *endpoint(f"{_ALERTS}/<uuid:alert>", api.RuleView, "alert_api"),
    *endpoint(f"{_ALERTS}/<uuid:alert>/mute", api.RuleMuteView, "alert_mute_api"),
    *endpoint(f"{_ALERTS}/<uuid:alert>/test", api.RuleTestView, "alert_test_api"),
    *endpoint(_OF_PROJECT, project_api.ProjectRulesView, "project_alerts_api"),
    *endpoint(f"{_OF_PROJECT}/<uuid:alert>", project_api.ProjectRuleView, "project_alert_api"),
]
