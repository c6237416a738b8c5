"""What can be done to requests on the page: cancel what waits or runs, make jobs again, tell of them again. Members."""

import uuid
from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from accounts.models import Role
from accounts.selectors import person
from core.errors import DomainError
from gateway.requests import again, cancelling, telling
from gateway.routing.services import By
from projects.access import parse_uuid, project_for
from projects.models import Project

Act = Callable[[HttpRequest, Project, list[uuid.UUID]], str]


def _cancel(request: HttpRequest, project: Project, ids: list[uuid.UUID]) -> str:
    done = cancelling.cancel_calls(
        project=project, call_ids=ids, by=By(person(request)), now=timezone.now()
    )
    words = [f"{_requests(done.stopped)} will not be made."] if done.stopped else []
    if done.told:
        words.append(f"The worker of {_requests(done.told)} is told to stop.")
    if done.left:
        words.append(f"{_requests(done.left)} had ended already.")
    return " ".join(words)


def _retry(request: HttpRequest, project: Project, ids: list[uuid.UUID]) -> str:
    """Raises DomainError when none of them could be made again."""
    done = again.retry_several(
        project=project, request_ids=ids, by=By(person(request)), now=timezone.now()
    )
    if not done.made:
        raise DomainError(" ".join(done.refused)[:1000], code="conflict", status=409)
    words = f"{_requests(len(done.made))} made again: listed under Waiting now until answered."
    return " ".join([words, *(f"Not {one}" for one in done.refused)])[:1000]


def _tell(request: HttpRequest, project: Project, ids: list[uuid.UUID]) -> str:
    count = telling.send_again(
        project=project, job_ids=ids, by=person(request).email, now=timezone.now()
    )
    return f"The webhook of {_requests(count)} is sent again, with the same id."


ACTS: dict[str, Act] = {"cancel": _cancel, "retry": _retry, "tell": _tell}


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count} requests"


@login_required
@require_POST
def request_act(request: HttpRequest, slug: str, request_id: uuid.UUID, act: str) -> HttpResponse:
    """One act on one request; a retry leads to the new one."""
    project = project_for(request, slug, Role.MEMBER)
    target = request_id
    try:
        if act == "retry":
            job = again.retry(
                project=project, request_id=request_id, by=By(person(request)), now=timezone.now()
            )
            target, words = job.id, "Made again; this is the new request."
        else:
            words = ACTS[act](request, project, [request_id])
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, words)
    if act == "cancel":  # a call is on no page between its end and its record
        return redirect("gateway:request_list", slug=project.ref)
    return redirect("gateway:request_detail", slug=project.ref, request_id=target)


@login_required
@require_POST
def request_bulk(request: HttpRequest, slug: str) -> HttpResponse:
    """One act on those that were chosen."""
    project = project_for(request, slug, Role.MEMBER)
    ids = [found for one in request.POST.getlist("ids")[: again.MOST] if (found := parse_uuid(one))]
    act = ACTS.get(request.POST.get("action", ""))
    try:
        if act is None:
            raise DomainError(f"action must be one of {', '.join(ACTS)}.", fields=["action"])
        if not ids:
            raise DomainError("Choose requests first.", fields=["ids"])
        messages.success(request, act(request, project, ids))
    except DomainError as error:
        messages.error(request, error.detail)
    return redirect("gateway:request_list", slug=project.ref)
