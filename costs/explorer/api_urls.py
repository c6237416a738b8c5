"""Addresses of the explorer in the API."""

from core.api.routes import endpoint
from costs.explorer import api, report_api

_REPORTS = "organizations/<slug:organization>/reports"
_ONE = f"{_REPORTS}/<uuid:report>"

urlpatterns = [
    *endpoint(
        "organizations/<slug:organization>/costs/explore",
        api.OrganizationExploreView,
        "organization_explore_api",
    ),
    *endpoint(
        "projects/<str:project>/costs/explore", api.ProjectExploreView, "project_explore_api"
    ),
    *endpoint(_REPORTS, report_api.ReportListView, "report_list_api"),
    *endpoint(_ONE, report_api.ReportView, "report_api"),
    *endpoint(f"{_ONE}/answer", report_api.ReportAnswerView, "report_answer_api"),
    *endpoint(f"{_ONE}/schedule", report_api.ReportScheduleView, "report_schedule_api"),
    *endpoint(f"{_ONE}/sendings", report_api.ReportSendingView, "report_sending_api"),
]
