"""Trace addresses of the API. The ingestion doors own `projects/<project>/traces` and hand GET to `traces.api`; it is
listed here as well so that the OpenAPI document has it."""

from core.api.routes import endpoint
from traces import api
from traces.activity.api_urls import urlpatterns as activity_patterns
from traces.feedback_api.urls import urlpatterns as feedback_patterns

urlpatterns = [
    *endpoint("projects/<str:project>/traces", api.TraceListView, "trace_list_api"),
    *endpoint(
        "projects/<str:project>/traces/<str:trace_id>", api.TraceDetailView, "trace_detail_api"
    ),
    *endpoint("projects/<str:project>/spans", api.SpanListView, "span_list_api"),
    *feedback_patterns,
    *activity_patterns,
]
