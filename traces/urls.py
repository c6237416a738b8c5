"""Pages and panels of traces. Ids are URL-safe by the door's rules (traces.ingest.sanitize), so they stand in paths."""

from django.urls import path

from traces.activity_urls import urlpatterns as activity_patterns
from traces.feedback_urls import urlpatterns as feedback_patterns
from traces.list_urls import list_urls
from traces.trace_urls import trace_urls
from traces.views import data, detail, intake, palette, starting, understood, waste

app_name = "traces"

_LIST = "projects/<str:slug>/traces/"
_TRACE = f"{_LIST}<str:trace_id>/"
urlpatterns = [
    path("traces/<str:trace_id>/", detail.trace_entry, name="trace_entry"),
    path(
        "projects/<str:slug>/setup/first-trace/",
        starting.first_trace_panel,
        name="first_trace_panel",
    ),
    path(
        "projects/<str:slug>/setup/test-trace/",
        starting.test_trace_create,
        name="test_trace_create",
    ),
    path("projects/<str:slug>/settings/data/storage/", data.storage_panel, name="storage_panel"),
    path("projects/<str:slug>/settings/data/erasure/", data.erasure_create, name="erasure_create"),
    path("organizations/<slug:slug>/key-rotation/", data.key_rotation, name="key_rotation"),
    path("projects/<str:slug>/palette/", palette.palette, name="palette"),
    path("projects/<str:slug>/ingestion/", intake.ingestion, name="ingestion"),
    path("projects/<str:slug>/ingestion.csv", intake.ingestion_csv, name="ingestion_csv"),
    path("projects/<str:slug>/ingestion/understood/", understood.understood, name="understood"),
    path("projects/<str:slug>/waste/", waste.waste, name="waste"),
    path("projects/<str:slug>/waste.csv", waste.waste_csv, name="waste_csv"),
    path("projects/<str:slug>/waste/scan/", waste.waste_scan, name="waste_scan"),
    path(
        "projects/<str:slug>/waste/<str:kind>/<str:mark>/", waste.waste_detail, name="waste_detail"
    ),
    *list_urls(_LIST),
    *trace_urls(_TRACE),
    *feedback_patterns,
    *activity_patterns,
]
