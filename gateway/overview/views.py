"""The gateway's first page and its parts, which ask again by themselves. Whoever sees the project sees them."""

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.models import Role
from core.errors import NotFoundError
from core.ranges import PRESETS
from gateway.overview import first_call
from gateway.overview.frame import MEASURES, read_asked
from gateway.overview.panels import PANELS
from gateway.overview.reading import Reading
from gateway.requests.lists import RANGES
from projects.access import project_for


@login_required
@never_cache
@require_GET
def overview(request: HttpRequest, slug: str) -> HttpResponse:
    """Everything at once: at most seventeen queries with the project. A project that never called sees how to."""
    reading = _reading(request, slug)
    context = _context(reading)
    if not reading.has_calls:
        context |= {
            "connections": reading.connections.values(),
            "may_connect": reading.project.role in (Role.ADMIN, Role.OWNER),
            "may_make_key": reading.project.role != Role.VIEWER,
            "snippet": first_call.snippet(reading, base_url=settings.LLMLAB_BASE_URL),
        }
        return render(request, "gateway/overview/empty.html", context)
    for panel in PANELS.values():
        context |= panel(reading)
    return render(request, "gateway/overview/page.html", context)


@login_required
@never_cache
@require_GET
def panel(request: HttpRequest, slug: str, panel: str) -> HttpResponse:
    """One part of the page. At most eleven queries."""
    reading = _reading(request, slug)
    if panel not in PANELS:
        raise NotFoundError("There is no such part of the overview.")
    context = _context(reading) | PANELS[panel](reading)
    return render(request, f"gateway/overview/_{panel}.html", context)


def _reading(request: HttpRequest, slug: str) -> Reading:
    project, now = project_for(request, slug), timezone.now()
    return Reading(project, read_asked(request.GET, now=now), now=now)


def _context(reading: Reading) -> dict[str, Any]:
    asked = reading.asked
    period = asked.range
    return {
        "project": reading.project,
        "asked": asked,
        "measures": MEASURES.items(),
        "range": {
            "label": period.label,
            "key": period.key,
            "start": period.start,
            "end": period.end,
            "presets": [{"key": key, "label": PRESETS[key]} for key in RANGES],
        },
        "kept": [("show", asked.show)] if asked.show != "calls" else [],
        "links": reading.links,
        "now": reading.now,
    }
