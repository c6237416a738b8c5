"""What lies below one trace's page (traces.viewer names the paths a share link mounts as well)."""

from django.urls import URLPattern, path

from traces.views import contents, detail, log_export, steps, whatif


def trace_urls(prefix: str) -> list[URLPattern]:
    """The page of a trace at `prefix`, and everything under it."""
    step = f"{prefix}steps/<str:span_id>/"
    return [
        path(prefix, detail.trace_detail, name="trace_detail"),
        path(f"{prefix}rows/", detail.steps_panel, name="steps_panel"),
        path(f"{prefix}changes/", detail.trace_changes, name="trace_changes"),
        path(f"{prefix}find/", detail.find_panel, name="find_panel"),
        path(f"{prefix}models/", whatif.models_panel, name="models_panel"),
        path(f"{prefix}log.csv", log_export.log_csv, name="log_csv"),
        path(f"{prefix}trace.json", detail.trace_json, name="trace_json"),
        path(f"{prefix}deletion/", detail.trace_delete, name="trace_delete"),
        path(step, steps.step_panel, name="step_panel"),
        path(f"{step}payload/", contents.payload_file, name="payload_file"),
        path(f"{step}media/<int:number>/", contents.media_file, name="media_file"),
    ]
