"""The panel "same tokens on another model"."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from core import formats
from core.errors import NotFoundError
from core.htmx import wants_part
from costs.known_models import known_models
from projects.access import project_for
from traces.selectors import detail, whatif
from traces.viewer import Viewer, member_viewer
from traces.views.step_cost import UNPRICED_REASONS


@login_required
@never_cache
@require_GET
def models_panel(request: HttpRequest, slug: str, trace_id: str) -> HttpResponse:
    """What the trace's tokens would have cost elsewhere."""
    return show_models(request, member_viewer(project_for(request, slug), trace_id))


def show_models(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """`?model=<provider/model>` (may repeat): those models, else a few to begin with. Two queries. Without htmx the
    panel is a page of its own."""
    trace = detail.trace_of(viewer.project, viewer.trace_id)
    if trace is None:
        raise NotFoundError("This trace has not arrived, or it was deleted.")
    chosen = [name[:200] for name in request.GET.getlist("model") if name.strip()]
    found = whatif.compare(viewer.project, trace, models=chosen[: whatif.MAX_MODELS])
    context: dict[str, Any] = {
        "viewer": viewer,
        "trace": trace,
        "whatif": found,
        "rows": [_row(found, one) for one in found.models],
        "chosen": chosen,
        "known_models": known_models(),
        "is_page": not wants_part(request),
    }
    page = "traces/models.html" if not wants_part(request) and not viewer.is_public else ""
    return render(request, page or "traces/_whatif.html", context)


def _row(found: whatif.Comparison, one: whatif.OtherModel) -> dict[str, Any]:
    delta = None
    if one.cost_usd is not None and found.own_cost_usd and not (one.unpriced or found.own_unpriced):
        delta = formats.delta(one.cost_usd, found.own_cost_usd)
    return {
        "one": one,
        "delta": delta,
        "reasons": "; ".join(UNPRICED_REASONS.get(r, r) for r in one.reasons),
    }
