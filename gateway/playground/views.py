"""The playground: any model by hand, up to four side by side. Members run; whoever sees the project sees the page.

Calls themselves do not come here: the page asks for a pass and calls the gateway's door (gateway.playground.passes).
"""

import uuid
from http import HTTPStatus

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.models import ROLE_RANK, Role
from accounts.selectors import person
from core.errors import DomainError, NotFoundError
from gateway.playground import drafts, opening, passes, runs
from gateway.playground.saving import save_run
from projects.access import parse_uuid, project_for
from projects.models import Project


def may_run(project: Project) -> bool:
    """Whether the reader may call models here."""
    is_member = ROLE_RANK[project.role] >= ROLE_RANK[Role.MEMBER]
    return is_member and project.status != Project.Status.ARCHIVED


@login_required
@never_cache
@require_GET
def playground(request: HttpRequest, slug: str) -> HttpResponse:
    """The page, empty, from a link, or with a recorded step in it. Seven queries, nine more when rules changed."""
    project, now = project_for(request, slug), timezone.now()
    draft = drafts.read_draft(request.GET.dict(), request.GET.getlist("model"))
    if request.GET.get("request") or request.GET.get("step"):
        drafts.fill(draft, _opened(request, project))
    mine = runs.runs_of(project, person(request), now=now)
    callables = runs.callables_of(project)
    if draft.models == [""]:
        draft.models = [mine[0].asked_model if mine else callables[0].name if callables else ""]
    context = {
        "project": project,
        "may_run": may_run(project),
        "draft": draft,
        "callables": callables,
        "runs": mine,
        "roles": opening.ROLES,
        "blank": opening.Line(),
        "formats": drafts.FORMATS.items(),
        "choices": drafts.CHOICES.items(),
        "caches": drafts.CACHES.items(),
        "efforts": drafts.EFFORTS,
        "now": now,
    }
    return render(request, "gateway/playground/page.html", context)


def _opened(request: HttpRequest, project: Project) -> opening.Opened:
    """What was recorded. Raises NotFoundError."""
    if request.GET.get("step"):
        return runs.opened_step(project, request.GET.get("trace", ""), request.GET["step"])
    wanted = parse_uuid(request.GET["request"])
    if wanted is None:
        raise NotFoundError("There is no such request in this project, or it has not ended yet.")
    return runs.opened_request(project, wanted)


@login_required
@require_POST
def pass_create(request: HttpRequest, slug: str) -> HttpResponse:
    """A pass to call the gateway's door for a minute. One query; nothing is stored."""
    project = project_for(request, slug, Role.MEMBER)
    made = passes.issue_pass(user=person(request), project=project, now=timezone.now())
    answer = {"pass": made, "expires_in": int(passes.LIFE.total_seconds())}
    return JsonResponse(answer, headers={"Cache-Control": "no-store"})


@login_required
@never_cache
@require_GET
def run_list(request: HttpRequest, slug: str) -> HttpResponse:
    """One's own last runs, the part of the page that is asked for again after each. Two queries."""
    project, now = project_for(request, slug), timezone.now()
    found = runs.runs_of(project, person(request), now=now)
    context = {"project": project, "runs": found, "now": now}
    return render(request, "gateway/playground/_runs.html", context)


@login_required
@never_cache
@require_GET
def run_detail(request: HttpRequest, slug: str, request_id: uuid.UUID) -> HttpResponse:
    """What a call cost, took and where it went; 202 while it is not recorded. Six queries at most."""
    project = project_for(request, slug)
    one = runs.ended_run(project, request_id)
    if one is None:
        return HttpResponse(status=HTTPStatus.ACCEPTED)
    context = {"project": project, "one": one, "may_run": may_run(project)}
    return render(request, "gateway/playground/_result.html", context)


@login_required
@require_POST
def run_save(request: HttpRequest, slug: str, request_id: uuid.UUID) -> HttpResponse:
    """Give the run's trace a name and tags."""
    project = project_for(request, slug, Role.MEMBER)
    user = person(request)
    row = runs.run_of(project, request_id)
    name, tags = request.POST.get("name", ""), request.POST.get("tags", "")
    status, problem = HTTPStatus.OK, None
    try:
        save_run(project=project, row=row, name=name, tags=tags, actor=user, now=timezone.now())
    except NotFoundError:
        raise
    except DomainError as error:
        status, problem = HTTPStatus.UNPROCESSABLE_ENTITY, error
    context = {
        "project": project,
        "one": {"row": row, "trace": runs.trace_of_run(project, row), "name": name},
        "problem": problem,
        "is_saved": problem is None,
        "tags": tags,
    }
    return render(request, "gateway/playground/_save.html", context, status=status)
