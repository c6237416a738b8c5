"""`organizations/<slug>/exports/`: ask for files of an organisation's costs, watch them grow, fetch and share them."""

import uuid
from http import HTTPStatus

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.files.storage import default_storage
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import Membership, Role
from accounts.selectors import page_membership, person
from core.api import throttling
from core.errors import DomainError, NotFoundError
from core.htmx import render_page_or_part
from core.models import Job
from costs.exporting import links, runs
from costs.exporting.forms import ExportForm, kind_choices, place_of, split_format
from costs.exporting.pages import listed, shown
from costs.models import ExportLink
from projects.export_views import stored_file
from projects.job_views import job_context

PUBLIC_HEADERS = {
    "Cache-Control": "no-store, private",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Referrer-Policy": "no-referrer",
}
# Fetches of one link, and tries of links from one address.
LINK_PER_MINUTE, ADDRESS_PER_MINUTE = 30, 120


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def export_list(request: HttpRequest, slug: str) -> HttpResponse:
    """The organisation's exports, newest first, and the form for another; POST asks for one. At most four queries."""
    is_post = request.method == "POST"
    membership = page_membership(request, slug, Role.MEMBER if is_post else Role.VIEWER)
    if not is_post:
        initial = {name: request.GET[name] for name in ("kind", "range") if name in request.GET}
        form = ExportForm(organization_id=membership.organization_id, initial=initial)
        return _page(request, membership, form)
    form = ExportForm(request.POST, organization_id=membership.organization_id)
    if form.is_valid():
        try:
            job = _start(request, membership, form)
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, "The export is under way.")
            return redirect("costs:export_detail", slug=slug, export_id=job.pk)
    return _page(request, membership, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)


def _start(request: HttpRequest, membership: Membership, form: ExportForm) -> Job:
    place = place_of(membership.organization_id, form.cleaned_data["destination"])
    return runs.start_export(
        organization=membership.organization,
        kind=form.cleaned_data["kind"],
        format_name=split_format(form.cleaned_data["format"])[0],
        request=form.request(timezone.now()),
        actor=person(request),
        params={"destination": str(place.pk), "destination_name": place.name} if place else None,
    )


def _page(
    request: HttpRequest, membership: Membership, form: ExportForm, status: int = HTTPStatus.OK
) -> HttpResponse:
    page = listed(membership.organization_id, request.GET)
    context = {
        "organization": membership.organization,
        "form": form,
        "may_start": membership.allows(Role.MEMBER),
        "rows": [shown(job) for job in page.rows],
        "older": page.older,
        "is_open": any(job.is_open for job in page.rows),
        "is_filtered": any(
            request.GET.get(name) for name in ("state", "kind", "schedule", "before")
        ),
        "states": [("", "Any state"), *((one.value, one.name.capitalize()) for one in Job.State)],
        "kinds": [("", "All sources"), *kind_choices()],
    }
    return render_page_or_part(
        request,
        page="costs/exporting/list.html",
        part="costs/exporting/_list_results.html",
        context=context,
        status=status,
    )


@login_required
@never_cache
@require_GET
def export_detail(request: HttpRequest, slug: str, export_id: uuid.UUID) -> HttpResponse:
    """One export: how far it is, its files and the links to them. At most four queries."""
    membership = page_membership(request, slug)
    return _detail(request, membership, runs.export_of(membership.organization_id, export_id))


def _detail(
    request: HttpRequest, membership: Membership, job: Job, *, new: ExportLink | None = None
) -> HttpResponse:
    may_share = membership.allows(Role.MEMBER)
    now = timezone.now()
    context = job_context(job, membership) | {
        "organization": membership.organization,
        "row": shown(job),
        "files": job.result.get("files", []),
        "links": list(links.links_of(job, now=now)) if may_share else [],
        "new_link": new,
        "new_url": links.address_of(new) if new else "",
        "expiries": [
            (key, label, key == links.DEFAULT_EXPIRY) for key, (_, label) in links.EXPIRIES.items()
        ],
        "may_share": may_share,
        "may_retry": may_share and job.state in (Job.State.FAILED, Job.State.CANCELLED),
        "now": now,
    }
    status = HTTPStatus.CREATED if new else HTTPStatus.OK
    return render_page_or_part(
        request,
        page="costs/exporting/detail.html",
        part="costs/exporting/_detail.html",
        context=context,
        status=status,
    )


@login_required
@never_cache
@require_GET
def export_file(request: HttpRequest, slug: str, export_id: uuid.UUID) -> StreamingHttpResponse:
    """A finished file (`name`; without: the first), streamed; `?gz=1` leaves CSV and JSON Lines compressed."""
    membership = page_membership(request, slug)
    job = runs.export_of(membership.organization_id, export_id)
    return file_response(job, request.GET.get("name", ""), packed=request.GET.get("gz") == "1")


def file_response(job: Job, name: str, *, packed: bool = False) -> StreamingHttpResponse:
    """Raises NotFoundError when there is no such file, or none any more."""
    file = links.file_of(job, name)
    if job.state not in (Job.State.DONE, Job.State.FAILED) or not default_storage.exists(
        file["file"]
    ):
        raise NotFoundError("This file is not there (any more): files are kept for a week.")
    return stored_file(file["file"], file["name"].removesuffix(".gz"), packed=packed)


@login_required
@require_POST
def export_retry(request: HttpRequest, slug: str, export_id: uuid.UUID) -> HttpResponse:
    """The same once more, after it failed or was cancelled."""
    membership = page_membership(request, slug, Role.MEMBER)
    job = runs.retry_export(
        job=runs.export_of(membership.organization_id, export_id),
        now=timezone.now(),
        actor=person(request),
    )
    messages.success(request, "The export runs again.")
    return redirect("costs:export_detail", slug=slug, export_id=job.pk)


@login_required
@require_POST
def export_removal(request: HttpRequest, slug: str, export_id: uuid.UUID) -> HttpResponse:
    """Remove an ended export with its files and links."""
    membership = page_membership(request, slug, Role.MEMBER)
    job = runs.export_of(membership.organization_id, export_id)
    runs.remove_export(job=job, actor=person(request))
    messages.success(request, "The export, its files and its links are removed.")
    return redirect("costs:export_list", slug=slug)


@login_required
@never_cache
@require_POST
def export_link(request: HttpRequest, slug: str, export_id: uuid.UUID) -> HttpResponse:
    """A link to a file; only this answer shows its address."""
    membership = page_membership(request, slug, Role.MEMBER)
    job = runs.export_of(membership.organization_id, export_id)
    link = links.create_link(
        job=job,
        file_name=request.POST.get("file", ""),
        expires_in=request.POST.get("expires_in", links.DEFAULT_EXPIRY),
        now=timezone.now(),
        actor=person(request),
    )
    return _detail(request, membership, job, new=link)


@login_required
@require_POST
def export_link_revocation(
    request: HttpRequest, slug: str, export_link_id: uuid.UUID
) -> HttpResponse:
    """End a link at once."""
    membership = page_membership(request, slug, Role.MEMBER)
    link = links.revoke_link(
        organization_id=membership.organization_id,
        link_id=export_link_id,
        now=timezone.now(),
        actor=person(request),
    )
    messages.success(request, f"The link to {link.file_name} no longer works.")
    return redirect("costs:export_detail", slug=slug, export_id=link.job_id)


@require_GET
def export_link_file(request: HttpRequest, export_token: str) -> HttpResponse:
    """`exports/files/<token>/`: the file for whoever has the link; whatever does not work looks the same."""
    try:
        _take(f"export-address:{request.META.get('REMOTE_ADDR', '')}", ADDRESS_PER_MINUTE)
        job, file, link = links.open_link(export_token, now=timezone.now())
        _take(f"export-link:{link.pk}", LINK_PER_MINUTE)
        answer: HttpResponse = file_response(job, file["name"], packed=request.GET.get("gz") == "1")  # type: ignore[assignment]
        links.count_use(link, now=timezone.now())
    except DomainError as error:
        status = (
            error.status if error.status == HTTPStatus.TOO_MANY_REQUESTS else HTTPStatus.NOT_FOUND
        )
        context = {"is_busy": status == HTTPStatus.TOO_MANY_REQUESTS}
        answer = render(request, "costs/exporting/link_gone.html", context, status=status)
    for name, value in PUBLIC_HEADERS.items():
        answer[name] = value
    return answer


def _take(key: str, per_minute: int) -> None:
    if throttling.take(key, cost=1, per_minute=per_minute) is not None:
        raise DomainError(
            "Too many downloads; try again in a minute.", code="rate_limited", status=429
        )
