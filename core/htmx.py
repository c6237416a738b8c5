"""One URL, one view, two templates: the whole page, or the part an htmx request replaces."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers


def wants_part(request: HttpRequest) -> bool:
    """True for an htmx request that swaps a part: not boosted, not a history restore (both need the whole page)."""
    htmx: Any = getattr(request, "htmx", None)
    return bool(htmx and not htmx.boosted and not htmx.history_restore_request)


def render_page_or_part(
    request: HttpRequest,
    *,
    page: str,
    part: str,
    context: Mapping[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    """Render `part` for an htmx request and `page` for everything else; caches keep the two apart."""
    template = part if wants_part(request) else page
    response = render(request, template, dict(context or {}), status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response
