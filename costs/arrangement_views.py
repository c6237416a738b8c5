"""Which panels a person sees on a project's dashboard, in which order and size. Everyone arranges their own."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from core.htmx import render_page_or_part, wants_part
from costs import board
from costs.dashboard import DashboardState, read_state
from costs.views import available, shown_to
from projects.access import project_for
from projects.preferences import keep_preference


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def dashboard_arrangement(request: HttpRequest, slug: str) -> HttpResponse:
    """GET: what is shown and hidden. POST one step: `action` (show, hide, move, size, reset), `panel`, `value`."""
    project = project_for(request, slug)
    state = read_state(request.GET, ref=project.ref, now=timezone.now())
    shown = shown_to(request, project)
    if request.method == "POST":
        action = request.POST.get("action", "")
        kept: dict[str, Any] = {}
        if action != "reset":
            shown = board.arranged(
                available(),
                shown,
                action=action,
                key=request.POST.get("panel", ""),
                value=request.POST.get("value", ""),
            )
            kept = board.as_kept(shown)
        keep_preference(
            user=request.user,  # type: ignore[arg-type]
            project=project,
            key=board.PREFERENCE,
            value=kept,
        )
        if not wants_part(request):
            return HttpResponseRedirect(state.url("costs:dashboard_arrangement"))
        shown = board.listed(available(), kept)
    return render_page_or_part(
        request,
        page="costs/arrangement.html",
        part="costs/_arrangement.html",
        context=_context(state, shown),
    )


def _context(state: DashboardState, shown: list[board.Panel]) -> dict[str, Any]:
    keys = {panel.key for panel in shown}
    return {
        "state": state,
        "shown": shown,
        "hidden": [panel for panel in available() if panel.key not in keys],
        "sizes": list(board.SIZES.items()),
        "action_url": state.url("costs:dashboard_arrangement"),
    }
