"""Paths of the ingestion doors. GET on the same API paths is the reading side (DRF)."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.urls import re_path
from django.views.decorators.csrf import csrf_exempt

from costs.api import cost_list_api
from traces import doors
from traces.api import trace_list_api
from traces.langfuse import doors as langfuse
from traces.langfuse import reads

View = Callable[..., HttpResponseBase]


def _by_method(*, post: View, other: View) -> View:
    """POST goes to the door, everything else to the reading API."""

    @csrf_exempt
    def view(request: HttpRequest, project: str) -> HttpResponseBase:
        return (post if request.method == "POST" else other)(request, project=project)

    return view


# Each also stands alone for exporters that are given the whole address.
_PATHS = r"api/public/otel/|api/v1/otlp/|api/v1/private/otel/|otel/|otlp/|api/otel/"
_OTLP = rf"^(?:{_PATHS})"
_PROJECT = r"^api/v1/projects/(?P<project>[\w.~-]{1,80})"
urlpatterns = [
    re_path(r"^v1/traces/?$", doors.otlp_traces, name="otlp_traces"),
    # Where exporters made for other products send to: Langfuse, Logfire and Braintrust, Opik, MLflow and Phoenix, and
    # collectors whose endpoint was given with a path.
    re_path(_OTLP + r"v1/traces/?$", doors.otlp_traces, name="otlp_alias"),
    re_path(
        r"^(?:" + _PATHS + r")?v1/(?P<signal>metrics|logs)/?$", doors.otlp_other, name="otlp_other"
    ),
    re_path(r"^api/public/ingestion/?$", langfuse.ingestion, name="langfuse_ingestion"),
    *(
        re_path(
            rf"^api/public/{path}/?$",
            view,
            name=f"langfuse_{'v2_' * path.startswith('v2/')}{view.__name__}",
        )
        for path, view in (
            ("health", reads.health),
            ("projects", reads.projects),
            ("traces", reads.traces),
            (r"traces/(?P<trace_id>[^/]{1,128})", reads.trace),
            ("observations", reads.observations),
            (r"observations/(?P<observation_id>[^/]{1,128})", reads.observation),
            ("sessions", reads.sessions),
            (r"sessions/(?P<session_id>[^/]{1,200})", reads.session),
            ("scores", reads.scores),
            ("v2/scores", reads.scores),
            (r"scores/(?P<score_id>[^/]{1,128})", reads.score),
            (r"v2/scores/(?P<score_id>[^/]{1,128})", reads.score),
            # Prompts, media, datasets and the rest of that API: 404 in its words.
            (r"(?P<what>.{1,200})", reads.not_here),
        )
    ),
    re_path(
        _PROJECT + r"/traces/?$",
        _by_method(post=doors.json_traces, other=trace_list_api),
        name="json_traces",
    ),
    re_path(
        _PROJECT + r"/costs/?$",
        _by_method(post=doors.json_costs, other=cost_list_api),
        name="json_costs",
    ),
]
