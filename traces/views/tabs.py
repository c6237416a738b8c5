"""The views of a trace, chosen by `?view=`: timeline, messages, log, graph."""

from typing import Any

from django.http import HttpRequest

from traces.models import Trace
from traces.tree import Tree
from traces.viewer import Viewer
from traces.views import timeline

VIEWS = {
    "timeline": ("Timeline", "chart-gantt"),
}
_KEPT = ("list", "step")


def view_context(
    request: HttpRequest, viewer: Viewer, trace: Trace, tree: Tree, *, selected: str
) -> dict[str, Any]:
    """The chosen view and the way to the others."""
    view = request.GET.get("view", "timeline")
    view = view if view in VIEWS else "timeline"
    kept = {name: request.GET.get(name, "") for name in _KEPT}
    context: dict[str, Any] = {
        "view": view,
        "views": [
            {
                "key": key,
                "label": label,
                "icon": icon,
                "href": viewer.url(view=key if key != "timeline" else "", **kept),
            }
            for key, (label, icon) in VIEWS.items()
        ],
        "selected": selected,
    }
    return context | timeline.timeline_context(request, viewer, trace, tree, selected=selected)
