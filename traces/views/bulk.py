"""What is done to selected traces, or to all that match: tag, untag, delete, and taking a tag back."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core import signing
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import ROLE_RANK, Role
from accounts.selectors import person
from core.errors import DomainError
from core.models import Job
from projects.access import parse_uuid, project_for
from projects.models import Project
from traces import bulk, lines
from traces.filters import TraceFilters, parse_filters
from traces.selectors.listing import matching

SALT = "traces.bulk-undo"
UNDO_SECONDS = 600


@login_required
@never_cache
@require_POST
def bulk_change(request: HttpRequest, slug: str) -> HttpResponse:
    """`action` on `ids`, or with `scope=all` on everything `query` matches. Deleting asks first.

    Viewers may compare and export; what changes something needs the role member.
    """
    project = project_for(request, slug)
    now = timezone.now()
    query = request.POST.get("query", "")[:6_000]
    base = reverse("traces:trace_list", kwargs={"slug": project.ref})
    back = f"{base}?{QueryDict(query).urlencode()}"
    if (where := _reading(request, project, query)) is not None:
        return redirect(where)
    if ROLE_RANK[project.role] < ROLE_RANK[Role.MEMBER]:
        raise DomainError("This needs the role member.", code="forbidden", status=403)
    try:
        action = bulk.check_action(request.POST.get("action", ""))
        tag = bulk.clean_tag(request.POST.get("tag", "")) if action != "delete" else ""
        filters = parse_filters(QueryDict(query), now=now, strict=True)
        is_all = request.POST.get("scope") == "all"
        ids = request.POST.getlist("ids")[: bulk.DIRECT + 1]
        if action == "delete" and not request.POST.get("confirmed"):
            return _confirm(request, project, filters, ids, is_all, query, back)
        who: dict[str, Any] = {"project": project, "actor": person(request), "tag": tag, "now": now}
        if is_all:
            outcome = bulk.change_matching(action=action, filters=filters, **who)
        else:
            outcome = bulk.change_chosen(action=action, ids=ids, **who)
    except DomainError as error:
        messages.error(request, error.detail)
        return redirect(back)
    if outcome.job is not None:
        return redirect("projects:job_detail", job_id=outcome.job.pk)
    _say(request, project, action, tag, outcome)
    return redirect(back)


def _reading(request: HttpRequest, project: Project, query: str) -> str | None:
    """Where comparing and exporting go; None for what changes something."""
    ids = [one for one in request.POST.getlist("ids") if one][: bulk.DIRECT]
    action = request.POST.get("action")
    if action == "compare":
        url = reverse("traces:trace_compare", kwargs={"slug": project.ref})
        return lines.with_query(url, **dict(zip(("a", "b"), ids, strict=False)))
    if action == "csv":
        url = reverse("traces:trace_csv", kwargs={"slug": project.ref})
        params = QueryDict(query, mutable=True)
        if request.POST.get("scope") != "all":
            params.setlist("ids", ids)
        return f"{url}?{params.urlencode()}"
    return None


def _confirm(
    request: HttpRequest,
    project: Project,
    filters: TraceFilters,
    ids: list[str],
    is_all: bool,
    query: str,
    back: str,
) -> HttpResponse:
    """How many would go, and the button that does it."""
    found = matching(project, filters) if is_all else project_traces(project, ids)
    count = found.count()
    if not count:
        raise DomainError("No trace is selected; select some first.", fields=["ids"])
    context = {
        "project": project,
        "count": count,
        "ids": [] if is_all else ids,
        "is_all": is_all,
        "query": query,
        "back": back,
        "text": filters.text,
        "range": filters.range,
    }
    return render(request, "traces/bulk_confirm.html", context)


def project_traces(project: Project, ids: list[str]) -> Any:
    """The named traces that exist in the project."""
    from traces.models import Trace

    return Trace.objects.filter(
        project=project, trace_id__in=[one.replace("\x00", "") for one in ids]
    )


def _say(
    request: HttpRequest, project: Project, action: bulk.Action, tag: str, outcome: bulk.Outcome
) -> None:
    """A message with the count, and Undo for tags."""
    count = len(outcome.changed)
    noun = "trace" if count == 1 else "traces"
    if action == "delete":
        messages.success(
            request, f"{count:,} {noun} deleted. Their recorded cost stays in the totals."
        )
        return
    text = f"{count:,} {noun} {bulk.DONE_WORDS[action]} “{tag}”."
    if not count:
        messages.info(
            request,
            f"Nothing to do: {'each has' if action == 'tag' else 'none has'} the tag “{tag}”.",
        )
        return
    inverse = "untag" if action == "tag" else "tag"
    token = signing.dumps(
        [str(project.pk), inverse, tag, list(outcome.changed)], salt=SALT, compress=True
    )
    url = reverse("traces:bulk_undo", kwargs={"slug": project.ref})
    messages.success(request, text, extra_tags=f"{url}?token={token}")


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def bulk_undo(request: HttpRequest, slug: str) -> HttpResponse:
    """Take back a tag: by the token of a message, or of a whole job (`?job=`), which asks first (member+)."""
    project = project_for(request, slug, Role.MEMBER)
    back = reverse("traces:trace_list", kwargs={"slug": project.ref})
    try:
        job = _job(request, project)
        if job is not None and request.method == "GET":
            context = {
                "project": project,
                "job": job,
                "count": len(bulk.undoable(job)),
                "back": back,
            }
            return render(request, "traces/bulk_undo.html", context)
        if job is not None:
            outcome = bulk.undo_job(
                project=project, actor=person(request), job=job, now=timezone.now()
            )
        else:
            outcome = _undo_token(request, project)
    except DomainError as error:
        messages.error(request, error.detail)
        return redirect(back)
    messages.success(request, f"Undone for {len(outcome.changed):,} traces.")
    return redirect((request.headers.get("Referer", "") and _same_page(request)) or back)


def _same_page(request: HttpRequest) -> str:
    """The list the reader came from, when it is one of ours."""
    from urllib.parse import urlsplit

    parts = urlsplit(request.headers.get("Referer", ""))
    is_list = parts.netloc == request.get_host() and parts.path.endswith("/traces/")
    return f"{parts.path}?{parts.query}" if is_list else ""


def _job(request: HttpRequest, project: Project) -> Job | None:
    uid = parse_uuid(request.GET.get("job", ""))
    if uid is None:
        return None
    job = Job.objects.filter(pk=uid, project_id=project.pk).first()
    if job is None or not bulk.undoable(job):
        raise DomainError("This cannot be undone any more.", fields=["job"])
    return job


def _undo_token(request: HttpRequest, project: Project) -> bulk.Outcome:
    try:
        owner, action, tag, ids = signing.loads(
            request.GET.get("token", ""), salt=SALT, max_age=UNDO_SECONDS
        )
    except (signing.BadSignature, ValueError, TypeError):
        raise DomainError("This cannot be undone any more.", fields=["token"]) from None
    if owner != str(project.pk) or request.method != "POST":
        raise DomainError("This cannot be undone here.", fields=["token"])
    return bulk.change_chosen(
        project=project,
        actor=person(request),
        action=bulk.check_action(action),
        ids=ids,
        tag=tag,
        now=timezone.now(),
    )
