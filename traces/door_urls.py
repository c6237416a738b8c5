"""Paths of the ingestion doors. GET on the same API paths is the reading side (DRF)."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.urls import re_path
from django.views.decorators.csrf import csrf_exempt

from costs.api import cost_list_api
from traces import doors
from traces.api import trace_list_api
from traces.langfuse import doors as langfuse

View = Callable[..., HttpResponseBase]


def _by_method(*, post: View, other: View) -> View:
    """POST goes to the door, everything else to the reading API."""

    @csrf_exempt
    def view(request: HttpRequest, project: str) -> HttpResponseBase:
        return (post if request.method == "POST" else other)(request, project=project)

    return view


_PROJECT = r"^api/v1/projects/(?P<project>[\w.~-]{1,80})"
urlpatterns = [
    re_path(r"^v1/traces/?$", doors.otlp_traces, name="otlp_traces"),
    re_path(r"^api/public/ingestion/?$", langfuse.ingestion, name="langfuse_ingestion"),
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
