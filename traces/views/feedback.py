"""Scores and comments on the trace page: loaded as parts, and a page of their own without JavaScript."""

import uuid
from collections.abc import Sequence
from http import HTTPStatus
from itertools import islice
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.models import ROLE_RANK, Role, User
from accounts.selectors import person
from core.errors import DomainError, NotFoundError
from core.htmx import wants_part
from projects.access import project_for
from projects.models import Project
from traces.comment_text import render_comment
from traces.feedback import annotations, comments
from traces.feedback.annotations import THUMBS, Subject
from traces.lines import with_query
from traces.models import Score
from traces.selectors import detail
from traces.selectors.feedback import (
    MAX_HANDLES,
    comments_of,
    existing_trace,
    mention_handles,
    score_definitions,
)
from traces.selectors.scores import facts_of, scores_of_trace

UNDO_SALT = "traces.annotation"
UNDO_SECONDS = 3_600


def _subject(request: HttpRequest, trace_id: str) -> Subject:
    span_id = (request.POST if request.method == "POST" else request.GET).get("step", "")
    return Subject(trace_id, span_id.replace("\x00", "")[:128])


def scores_context(project: Project, user: User, subject: Subject) -> dict[str, Any]:
    """What `traces/_scores.html` shows of a trace or a step. Two queries."""
    found = scores_of_trace(project, subject.trace_id).filter(span_id=subject.span_id)
    scores = list(found[:200])
    own = {score.name: score for score in scores if score.author_id == user.pk and _is_own(score)}
    facts = facts_of(scores)
    thumbs = [score for score in scores if score.name == THUMBS]
    is_member = ROLE_RANK[project.role] >= ROLE_RANK[Role.MEMBER]
    is_admin = ROLE_RANK[project.role] >= ROLE_RANK[Role.ADMIN]
    return {
        "project": project,
        "subject": subject,
        "scope": "step" if subject.span_id else "trace",
        "own_thumb": own.get(THUMBS),
        "ups": sum(score.value == 1.0 for score in thumbs),
        "downs": sum(score.value == 0.0 for score in thumbs),
        "facts": [fact for fact in facts if fact.name != THUMBS],
        "rows": [
            {"score": score, "may_delete": is_member and (is_admin or score.author_id == user.pk)}
            for score in scores
        ],
        "forms": _forms(project, own) if is_member else [],
        "may_score": is_member,
    }


def _is_own(score: Score) -> bool:
    return score.score_id.startswith("annotation-")


def _forms(project: Project, own: dict[str, Score]) -> Sequence[dict[str, Any]]:
    return [
        {"definition": definition, "own": own.get(definition.name)}
        for definition in score_definitions(project, active=True)
        if definition.name != THUMBS
    ]


def comments_context(project: Project, user: User, subject: Subject) -> dict[str, Any]:
    """What `traces/_comments.html` shows of a trace or a step. Three queries."""
    handles = mention_handles(project)
    is_member = ROLE_RANK[project.role] >= ROLE_RANK[Role.MEMBER]
    is_admin = ROLE_RANK[project.role] >= ROLE_RANK[Role.ADMIN]
    found = comments_of(project, subject.trace_id, span_id=subject.span_id)
    rows: list[dict[str, Any]] = [
        {
            "comment": comment,
            "html": render_comment(comment.text, handles),
            "mentions_me": any(one.user_id == user.pk for one in comment.mentions.all()),
            "may_edit": is_member and comment.author_id == user.pk,
            "may_delete": is_member and (is_admin or comment.author_id == user.pk),
        }
        for comment in found
    ]
    return {
        "project": project,
        "subject": subject,
        "scope": "step" if subject.span_id else "trace",
        "comments": rows,
        "open_count": sum(row["comment"].resolved_at is None for row in rows),
        "handles": dict(islice(handles.items(), MAX_HANDLES)),
        "may_comment": is_member,
        "max_length": comments.MAX_TEXT,
        "now": timezone.now(),
    }


@login_required
@never_cache
@require_GET
def trace_feedback(request: HttpRequest, slug: str, trace_id: str) -> HttpResponse:
    """`P/traces/<id>/feedback/?step=`: scores and comments of the trace or one step, on a page of their own."""
    project = project_for(request, slug)
    subject = _existing(project, _subject(request, trace_id))
    user = person(request)
    context = scores_context(project, user, subject) | comments_context(project, user, subject)
    context["trace"] = existing_trace(project, trace_id)
    return render(request, "traces/feedback.html", context)


@login_required
@never_cache
@require_GET
def scores_part(request: HttpRequest, slug: str, trace_id: str) -> HttpResponse:
    """Scores of the trace or one step, for the page that has it open. Three queries."""
    project = project_for(request, slug)
    subject = _subject(request, trace_id)
    if not wants_part(request):
        return redirect(_feedback_url(project, subject))
    return render(request, "traces/_scores.html", scores_context(project, person(request), subject))


@login_required
@never_cache
@require_GET
def comments_part(request: HttpRequest, slug: str, trace_id: str) -> HttpResponse:
    """Comments of the trace or one step. `?known=<n>` asks whether there are more or fewer by now: 204 when not."""
    project = project_for(request, slug)
    subject = _subject(request, trace_id)
    if not wants_part(request):
        return redirect(_feedback_url(project, subject))
    known = request.GET.get("known", "")
    if known.isascii() and known.isdigit() and len(known) < 6:
        count = comments_of(project, trace_id, span_id=subject.span_id).count()
        if count == int(known):
            return HttpResponse(status=HTTPStatus.NO_CONTENT)
        context = {
            "project": project,
            "subject": subject,
            "scope": "step" if subject.span_id else "trace",
            "fresh": count - int(known),
        }
        return render(request, "traces/_comments_new.html", context)
    context = comments_context(project, person(request), subject)
    return render(request, "traces/_comments.html", context)


def _feedback_url(project: Project, subject: Subject) -> str:
    url = reverse(
        "traces:trace_feedback", kwargs={"slug": project.ref, "trace_id": subject.trace_id}
    )
    return with_query(url, step=subject.span_id)


def _existing(project: Project, subject: Subject) -> Subject:
    """Raises NotFoundError when the trace or the step is not there."""
    trace = existing_trace(project, subject.trace_id)
    if subject.span_id and detail.step_of(trace, subject.span_id) is None:
        raise NotFoundError("This step has not arrived, or it was deleted.")
    return subject


@login_required
@require_POST
def annotation_set(request: HttpRequest, slug: str, trace_id: str) -> HttpResponse:
    """Give or change one's own score: `name`, `value`, `reason` (kept when missing), `step`."""
    project = project_for(request, slug, Role.MEMBER)
    subject = _existing(project, _subject(request, trace_id))
    user, name = person(request), request.POST.get("name", "").strip()
    done = annotations.annotate(
        project=project,
        user=user,
        subject=subject,
        name=name,
        value=request.POST.get("value", ""),
        reason=request.POST.get("reason"),
        now=timezone.now(),
    )
    text = f"{name}: {done.score.shown}" if done.score else f"{name} taken back"
    token = signing.dumps(
        [str(project.pk), str(user.pk), subject.trace_id, subject.span_id, name, done.before],
        salt=UNDO_SALT,
    )
    return _scores_answer(request, project, subject, text, undo=token)


@login_required
@require_POST
def annotation_undo(request: HttpRequest, slug: str, trace_id: str) -> HttpResponse:
    """Put one's own score back to what it was before; `token` is from the answer that changed it, for an hour."""
    project = project_for(request, slug, Role.MEMBER)
    user = person(request)
    text = request.POST.get("token", "") or request.GET.get("token", "")
    try:
        known = signing.loads(text, salt=UNDO_SALT, max_age=UNDO_SECONDS)
    except signing.BadSignature:
        raise DomainError("This can no longer be undone.", fields=["token"]) from None
    project_id, user_id, for_trace, span_id, name, before = known
    if (project_id, user_id, for_trace) != (str(project.pk), str(user.pk), trace_id):
        raise DomainError("This undo belongs to another page.", fields=["token"])
    subject = Subject(trace_id, span_id)
    annotations.restore(
        project=project, user=user, subject=subject, name=name, before=before, now=timezone.now()
    )
    return _scores_answer(request, project, subject, f"{name} is as before")


@login_required
@require_POST
def score_delete(request: HttpRequest, slug: str, trace_id: str, score_id: str) -> HttpResponse:
    """Delete one score: one's own, any as an admin."""
    project = project_for(request, slug, Role.MEMBER)
    score = annotations.remove_score(project=project, user=person(request), score_id=score_id)
    subject = Subject(trace_id, score.span_id)
    return _scores_answer(request, project, subject, f"{score.name} deleted")


def _scores_answer(
    request: HttpRequest, project: Project, subject: Subject, text: str, *, undo: str = ""
) -> HttpResponse:
    if not wants_part(request):
        messages.success(request, f"{text}.")
        return redirect(_feedback_url(project, subject))
    context = scores_context(project, person(request), subject) | {
        "toast_text": text,
        "undo_token": undo,
    }
    return render(request, "traces/_scores_answer.html", context)


@login_required
@require_POST
def comment_create(request: HttpRequest, slug: str, trace_id: str) -> HttpResponse:
    """Write a comment on the trace or a `step`."""
    project = project_for(request, slug, Role.MEMBER)
    subject = _subject(request, trace_id)
    comment = comments.add_comment(
        project=project,
        trace_id=trace_id,
        span_id=subject.span_id,
        text=request.POST.get("text", ""),
        author=person(request),
        now=timezone.now(),
    )
    return _comments_answer(request, project, subject, f"#comment-{comment.pk}")


@login_required
@require_POST
def comment_edit(
    request: HttpRequest, slug: str, trace_id: str, comment_id: uuid.UUID
) -> HttpResponse:
    """Change one's own comment."""
    project = project_for(request, slug, Role.MEMBER)
    comment = comments.edit_comment(
        project=project,
        comment_id=comment_id,
        text=request.POST.get("text", ""),
        actor=person(request),
        now=timezone.now(),
    )
    subject = Subject(comment.trace_id, comment.span_id)
    return _comments_answer(request, project, subject, f"#comment-{comment.pk}")


@login_required
@require_POST
def comment_delete(
    request: HttpRequest, slug: str, trace_id: str, comment_id: uuid.UUID
) -> HttpResponse:
    """Delete one's own comment, any as an admin."""
    project = project_for(request, slug, Role.MEMBER)
    comment = comments.delete_comment(project=project, comment_id=comment_id, actor=person(request))
    return _comments_answer(request, project, Subject(comment.trace_id, comment.span_id))


@login_required
@require_POST
def comment_resolve(
    request: HttpRequest, slug: str, trace_id: str, comment_id: uuid.UUID
) -> HttpResponse:
    """Mark a comment as dealt with (`resolved=1`), or open it again (`resolved=0`)."""
    project = project_for(request, slug, Role.MEMBER)
    comment = comments.resolve_comment(
        project=project,
        comment_id=comment_id,
        resolved=request.POST.get("resolved") == "1",
        actor=person(request),
        now=timezone.now(),
    )
    return _comments_answer(request, project, Subject(comment.trace_id, comment.span_id))


def _comments_answer(
    request: HttpRequest, project: Project, subject: Subject, anchor: str = ""
) -> HttpResponse:
    if not wants_part(request):
        return redirect(_feedback_url(project, subject) + anchor)
    context = comments_context(project, person(request), subject)
    return render(request, "traces/_comments.html", context)
