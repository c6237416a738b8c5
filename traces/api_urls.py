"""Trace addresses of the API. The ingestion doors own `projects/<project>/traces` and hand GET to `traces.api`; it is
listed here as well so that the OpenAPI document has it."""

from core.api.routes import endpoint
from traces import api, erasure_api, intake_api, list_api, trace_api
from traces.activity.api_urls import urlpatterns as activity_patterns
from traces.feedback_api.urls import urlpatterns as feedback_patterns
from traces.waste.api import WasteView

_TRACE = "projects/<str:project>/traces/<str:trace_id>"

urlpatterns = [
    *endpoint("projects/<str:project>/traces", api.TraceListView, "trace_list_api"),
    *endpoint(
        "projects/<str:project>/traces/<str:trace_id>", api.TraceDetailView, "trace_detail_api"
    ),
    *endpoint("projects/<str:project>/ingestion", intake_api.IngestionView, "ingestion_api"),
    *endpoint("projects/<str:project>/spans", api.SpanListView, "span_list_api"),
    *endpoint(f"{_TRACE}/spans", trace_api.TraceSpansView, "trace_spans_api"),
    *endpoint(f"{_TRACE}/messages", trace_api.TraceMessagesView, "trace_messages_api"),
    *endpoint(f"{_TRACE}/graph", trace_api.TraceGraphView, "trace_graph_api"),
    *endpoint("projects/<str:project>/views", list_api.ViewListView, "view_list_api"),
    *endpoint(
        "projects/<str:project>/views/<uuid:view>", list_api.ViewDetailView, "view_detail_api"
    ),
    *endpoint(
        "projects/<str:project>/trace-actions", list_api.TraceActionsView, "trace_actions_api"
    ),
    *endpoint("projects/<str:project>/waste", WasteView, "waste_api"),
    *endpoint("projects/<str:project>/erasures", erasure_api.ErasureListView, "erasure_list_api"),
    *feedback_patterns,
    *activity_patterns,
]
