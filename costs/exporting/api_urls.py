"""Addresses of exports in the API, joined in costs.api_urls."""

from core.api.routes import endpoint
from costs.exporting import api, place_api

_EXPORTS = "organizations/<slug:organization>/exports"
_ONE = f"{_EXPORTS}/<uuid:export>"
_SCHEDULES = f"{_EXPORTS}/schedules"
_SCHEDULE = f"{_SCHEDULES}/<uuid:export_schedule>"
_DESTINATIONS = f"{_EXPORTS}/destinations"
_DESTINATION = f"{_DESTINATIONS}/<uuid:export_destination>"
urlpatterns = [
    *endpoint(_EXPORTS, api.CostExportListView, "cost_export_list_api"),
    *endpoint(f"{_EXPORTS}/focus", api.FocusStreamView, "focus_stream_api"),
    *endpoint(_ONE, api.CostExportView, "cost_export_api"),
    *endpoint(f"{_ONE}/file", api.CostExportFileView, "cost_export_file_api"),
    *endpoint(f"{_ONE}/cancellation", api.CostExportCancellationView, "cost_export_cancel_api"),
    *endpoint(f"{_ONE}/retry", api.CostExportRetryView, "cost_export_retry_api"),
    *endpoint(f"{_ONE}/links", api.CostExportLinkListView, "cost_export_link_list_api"),
    *endpoint(
        f"{_EXPORTS}/links/<uuid:export_link>", api.CostExportLinkView, "cost_export_link_api"
    ),
    *endpoint(_SCHEDULES, place_api.ExportScheduleListView, "export_schedule_list_api"),
    *endpoint(_SCHEDULE, place_api.ExportScheduleView, "export_schedule_api"),
    *endpoint(f"{_SCHEDULE}/run", place_api.ExportScheduleRunView, "export_schedule_run_api"),
    *endpoint(_DESTINATIONS, place_api.ExportDestinationListView, "export_destination_list_api"),
    *endpoint(_DESTINATION, place_api.ExportDestinationView, "export_destination_api"),
    *endpoint(
        f"{_DESTINATION}/check",
        place_api.ExportDestinationCheckView,
        "export_destination_check_api",
    ),
]
