"""Pages and panels of traces. Ids are URL-safe by the door's rules (traces.ingest.sanitize), so they stand in paths."""

from django.urls import path

from traces.feedback_urls import urlpatterns as feedback_patterns
from traces.list_urls import list_urls
from traces.trace_urls import trace_urls
from traces.views import detail, export, listing, palette, starting

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
    path("projects/<str:slug>/palette/", palette.palette, name="palette"),
    path(_LIST, listing.trace_list, name="trace_list"),
    # A trace may be named "panels": none of the names below is a trace's own sub-page.
    *feedback_patterns,
    path(f"{_LIST}panels/facets/", listing.facets_panel, name="facets_panel"),
    path(f"{_LIST}panels/volume/", listing.volume_panel, name="volume_panel"),
    path(f"{_LIST}panels/total/", listing.total_panel, name="total_panel"),
    path(f"{_LIST}panels/new/", listing.new_panel, name="new_panel"),
    path(f"{_LIST}panels/traces.csv", export.trace_csv, name="trace_csv"),
    *trace_urls(_TRACE),
]
