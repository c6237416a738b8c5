"""Making, listing and revoking public links to traces."""

import uuid
from http import HTTPStatus

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import ROLE_RANK, Role
from accounts.selectors import person
from core.errors import DomainError
from projects.access import parse_uuid, project_for
from projects.models import Project
from traces.feedback.shares import (
    DEFAULT_EXPIRY,
    EXPIRIES,
    address_of,
    create_share_link,
    revoke_share_link,
)
from traces.selectors.feedback import existing_trace, open_links, share_links

PAGE_SIZE = 50


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def trace_shares(request: HttpRequest, slug: str, trace_id: str) -> HttpResponse:
    """`P/traces/<id>/shares/`: the trace's links, and one more; only the answer to the POST shows its address."""
    project = project_for(request, slug, Role.MEMBER)
    trace = existing_trace(project, trace_id)
    now, url, status = timezone.now(), "", HTTPStatus.OK
    if request.method == "POST":
        _, token = create_share_link(
            project=project,
            trace_id=trace_id,
            with_payloads=request.POST.get("with_payloads") == "1",
            expires_in=request.POST.get("expires_in", DEFAULT_EXPIRY),
            now=now,
            actor=person(request),
        )
        url, status = address_of(token), HTTPStatus.CREATED
    context = {
        "project": project,
        "trace": trace,
        "links": open_links(project, now=now, trace_id=trace_id),
        "new_url": url,
        "now": now,
        "expiries": _expiries(project),
        "allows_sharing": project.organization.allows_sharing,
    }
    return render(request, "traces/trace_shares.html", context, status=status)


def _expiries(project: Project) -> list[tuple[str, str, bool]]:
    is_admin = ROLE_RANK[project.role] >= ROLE_RANK[Role.ADMIN]
    return [
        (key, label, key == DEFAULT_EXPIRY)
        for key, (length, label) in EXPIRIES.items()
        if length is not None or is_admin
    ]


@login_required
@never_cache
@require_GET
def share_list(request: HttpRequest, slug: str) -> HttpResponse:
    """`P/settings/shares/`: links that work; with `?all=1` ended ones as well. `before` pages."""
    project = project_for(request, slug, Role.MEMBER)
    now, show_all = timezone.now(), request.GET.get("all") == "1"
    found = share_links(project) if show_all else open_links(project, now=now).order_by("-id")
    if before := request.GET.get("before", ""):
        link_id = parse_uuid(before)
        if link_id is None:
            raise DomainError(
                "before is not the id of a link; start again without it.", fields=["before"]
            )
        found = found.filter(pk__lt=link_id)
    rows = list(found[: PAGE_SIZE + 1])
    context = {
        "project": project,
        "tab": "shares",
        "rows": [{"link": link, "is_open": link.is_usable(now)} for link in rows[:PAGE_SIZE]],
        "older": rows[PAGE_SIZE - 1].pk if len(rows) > PAGE_SIZE else "",
        "show_all": show_all,
        "now": now,
        "allows_sharing": project.organization.allows_sharing,
    }
    return render(request, "traces/share_list.html", context)


@login_required
@require_POST
def share_revoke(request: HttpRequest, slug: str, link_id: uuid.UUID) -> HttpResponse:
    """End a link at once."""
    project = project_for(request, slug, Role.MEMBER)
    link = revoke_share_link(
        project=project, link_id=link_id, now=timezone.now(), actor=person(request)
    )
    messages.success(request, "The link is revoked; whoever opens it now finds nothing.")
    if request.POST.get("back") == "trace":
        return redirect("traces:trace_shares", slug=project.ref, trace_id=link.trace_id)
    return redirect("traces:share_list", slug=project.ref)
