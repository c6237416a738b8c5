"""`/share/<token>/`: one trace for whoever has its link. Read-only, never stored, never indexed, no referrer.

Expired, revoked, unknown and forbidden links, and traces that are gone, answer the same page with the same status.
"""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts.models import Role
from core.errors import DomainError, NotFoundError
from core.middleware import refusal
from traces.feedback.shares import count_view, find_share_link
from traces.models import ShareLink
from traces.viewer import Viewer
from traces.views import contents, shown, steps, whatif

P = ParamSpec("P")
_HEADERS = {
    "Cache-Control": "no-store, private",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Referrer-Policy": "no-referrer",
}


def _public(
    view: Callable[Concatenate[HttpRequest, Viewer, P], HttpResponseBase],
) -> Callable[..., HttpResponseBase]:
    """Open the link for `view`; anything that is not there looks like a link that never was."""

    @wraps(view)
    def answer(
        request: HttpRequest, token: str, *args: P.args, **kwargs: P.kwargs
    ) -> HttpResponseBase:
        link = find_share_link(token, now=timezone.now())
        request.share_link = link  # type: ignore[attr-defined]
        try:
            if link is None:
                raise NotFoundError("No such link.")
            response = view(request, _viewer(link, token), *args, **kwargs)
        except NotFoundError:
            response = render(request, "traces/share_gone.html", status=HTTPStatus.NOT_FOUND)
        except DomainError as error:  # here, so that it has the headers below
            response = refusal(request, error)
        for name, value in _HEADERS.items():
            response[name] = value
        return response

    return require_GET(answer)


def _viewer(link: ShareLink, token: str) -> Viewer:
    project = link.project
    project.role, project.ref = Role.VIEWER, project.slug
    return Viewer(
        project=project,
        trace_id=link.trace_id,
        can_edit=False,
        sees_payloads=link.with_payloads,
        base_url=reverse("traces:share_detail", args=[token]),
        is_public=True,
    )


@_public
def share_detail(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """The page; the only address whose visits are counted."""
    link: ShareLink = request.share_link  # type: ignore[attr-defined]
    response = shown.show_trace(
        request, viewer, page="traces/share.html", more={"link": link, "viewer": viewer}
    )
    count_view(link, now=timezone.now())
    return response


@_public
def share_rows(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """More rows of the waterfall."""
    return shown.show_rows(request, viewer)


@_public
def share_changes(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """What happened since a sequence number; a trace deleted meanwhile is a link that leads nowhere."""
    shown.trace_or_404(viewer)
    return shown.show_changes(request, viewer)


@_public
def share_find(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Steps by name (and by what was said, where that is shared)."""
    return shown.show_find(request, viewer)


@_public
def share_step(request: HttpRequest, viewer: Viewer, span_id: str) -> HttpResponse:
    """The pane of one step; without htmx the page with that step open."""
    shown.trace_or_404(viewer)
    return steps.show_step(request, viewer, span_id)


@_public
def share_models(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """What the trace's tokens would have cost elsewhere."""
    return whatif.show_models(request, viewer)


@_public
def share_payload(request: HttpRequest, viewer: Viewer, span_id: str) -> HttpResponseBase:
    """One side of a step whole, where that is shared."""
    return contents.show_payload(request, viewer, span_id)


@_public
def share_media(request: HttpRequest, viewer: Viewer, span_id: str, number: int) -> HttpResponse:
    """One picture, sound or document of a step, where that is shared."""
    return contents.show_media(request, viewer, span_id, number)
