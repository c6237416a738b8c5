"""Reads of the playground: what may be called, one's own runs, one run, a recorded step to begin with."""

import datetime as dt
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.urls import reverse

from accounts.models import User
from core.errors import NotFoundError
from gateway.door.models import callable_models
from gateway.models import LLMRequest
from gateway.playground import passes
from gateway.playground.opening import Opened, opened_of
from gateway.requests import selectors
from gateway.snapshot import snapshot_of
from projects.models import Project
from traces.models import Span, Trace
from traces.selectors import detail

MAX_MODELS = 500
RUNS = 20
SINCE = dt.timedelta(days=30)
_NO_CHAT = ("embed", "rerank", "whisper", "tts-", "dall-e", "moderation")


@dataclass(frozen=True)
class Callable:
    """A name to choose: of a route, or of a model and whose it is."""

    name: str
    owner: str


def callables_of(project: Project) -> list[Callable]:
    """Routes first, then models that answer chats. Nine queries when the gateway's rules changed, else one."""
    snapshot = snapshot_of(project.organization_id, project.pk, now=time.monotonic())
    found = [
        Callable(name, "Route" if owner == "llmlab" else owner)
        for name, owner in callable_models(snapshot).items()
        if name != "*" and not any(word in name.lower() for word in _NO_CHAT)
    ]
    return found[:MAX_MODELS]


def runs_of(project: Project, user: User, *, now: dt.datetime) -> list[LLMRequest]:
    """The person's last runs of thirty days, newest first. One query, by an index of calls without a key."""
    rows = LLMRequest.objects.filter(
        project=project,
        user_id=passes.name_of(user.email),
        api_key_id=None,
        accepted_at__gte=now - SINCE,
    )
    return list(rows.order_by("-accepted_at", "-id")[:RUNS])


def run_of(project: Project, request_id: UUID) -> LLMRequest:
    """A run somebody made here; a program's call is none. One query. Raises NotFoundError."""
    row = selectors.request_of(project, request_id)
    if row.api_key_id is not None:
        raise NotFoundError("There is no such run of the playground in this project.")
    return row


def ended_run(project: Project, request_id: UUID) -> dict[str, Any] | None:
    """What became of a call; None: it has not ended, or it is not here. Two queries."""
    try:
        row = selectors.request_of(project, request_id)
    except NotFoundError:
        return None
    trace = trace_of_run(project, row)
    return {
        "row": row,
        "names": selectors.names_for(project, row),
        "trace": trace,
        "name": trace.name if trace else "",
        "trace_href": _step_href(project, row) if trace else "",
        "href": reverse("gateway:request_detail", args=[project.ref, row.id]),
    }


def trace_of_run(project: Project, row: LLMRequest) -> Trace | None:
    """The trace of a run; refused ones have none. One query at most."""
    return detail.trace_of(project, row.trace_id) if row.span_id else None


def _step_href(project: Project, row: LLMRequest) -> str:
    return f"{reverse('traces:trace_detail', args=[project.ref, row.trace_id])}?step={row.span_id}"


def opened_request(project: Project, request_id: UUID) -> Opened:
    """A call of the request list, to be asked again. Four queries at most. Raises NotFoundError."""
    row = selectors.request_of(project, request_id)
    if not row.span_id:
        note = "This request was refused before anybody was asked, so what it said was not kept."
        return Opened(model=row.asked_model, note=note)
    return _opened(project, row.trace_id, row.span_id, model=row.asked_model)


def opened_step(project: Project, trace_id: str, span_id: str) -> Opened:
    """A step of a trace, to be asked again. Three queries. Raises NotFoundError."""
    return _opened(project, trace_id, span_id)


def _opened(project: Project, trace_id: str, span_id: str, *, model: str = "") -> Opened:
    trace = None if "\x00" in trace_id + span_id else detail.trace_of(project, trace_id)
    step: Span | None = detail.step_of(trace, span_id) if trace else None
    if step is None:
        raise NotFoundError("There is no such step in this project.")
    content = detail.step_content(project, step)
    opened = opened_of(content.content, model=model or step.request_model)
    if content.problem:
        opened.note = content.problem
    return opened
