"""What lies below one trace's page (traces.viewer names the paths a share link mounts as well)."""

from django.urls import URLPattern, path

from traces.views import detail, steps


def trace_urls(prefix: str) -> list[URLPattern]:
    """The page of a trace at `prefix`, and everything under it."""
    return [
        path(prefix, detail.trace_detail, name="trace_detail"),
        path(f"{prefix}rows/", detail.steps_panel, name="steps_panel"),
        path(f"{prefix}changes/", detail.trace_changes, name="trace_changes"),
        path(f"{prefix}find/", detail.find_panel, name="find_panel"),
        path(f"{prefix}trace.json", detail.trace_json, name="trace_json"),
        path(f"{prefix}deletion/", detail.trace_delete, name="trace_delete"),
        path(f"{prefix}steps/<str:span_id>/", steps.step_panel, name="step_panel"),
    ]
