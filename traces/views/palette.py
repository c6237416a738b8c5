"""The part of the command palette that only the server knows."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from projects.access import project_for
from traces.selectors.palette import palette_groups


@login_required
@never_cache
@require_GET
def palette(request: HttpRequest, slug: str) -> HttpResponse:
    """Traces, sessions, users and models that match `q`, for the dialog that base_app.html opens with ⌘K."""
    project = project_for(request, slug)
    text = request.GET.get("q", "")
    groups = palette_groups(project, text, now=timezone.now())
    return render(request, "traces/_palette.html", {"groups": groups, "text": text.strip()})
