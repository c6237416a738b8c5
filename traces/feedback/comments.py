"""Comments on traces and steps, and the mail to whoever is mentioned in one."""

import datetime as dt
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse

from accounts.models import ROLE_RANK, Membership, Role, User
from accounts.services import ForbiddenError
from core import outbox
from core.errors import DomainError, NotFoundError
from projects.models import Project
from traces.comment_text import handles_of, mentioned
from traces.lines import with_query
from traces.models import Comment, CommentMention
from traces.selectors import detail

TOPIC = "traces.mention_mail"
MAX_TEXT = 10_000
MAX_PER_TRACE = 1_000
MAX_MENTIONS = 20


@transaction.atomic
def add_comment(
    *,
    project: Project,
    trace_id: str,
    span_id: str,
    text: str,
    author: User | None,
    now: dt.datetime,
    author_label: str = "",
) -> Comment:
    """Write a comment and queue a mail to each member it mentions.

    Raises NotFoundError without the trace or the step, DomainError for an empty or too long text.
    """
    text = _clean(text)
    _check_subject(project, trace_id, span_id)
    if Comment.objects.filter(project=project, trace_id=trace_id).count() >= MAX_PER_TRACE:
        raise DomainError(f"A trace has at most {MAX_PER_TRACE:,} comments.", fields=["text"])
    comment = Comment.objects.create(
        project=project,
        trace_id=trace_id,
        span_id=span_id,
        author=author,
        author_label=(author_label or (author.email if author else ""))[:254],
        text=text,
    )
    _mention(project, comment, now)
    return comment


@transaction.atomic
def edit_comment(
    *, project: Project, comment_id: UUID, text: str, actor: User, now: dt.datetime
) -> Comment:
    """Change one's own comment; members mentioned for the first time are mailed. Raises ForbiddenError for others'."""
    comment = _locked(project, comment_id)
    if comment.author_id != actor.pk:
        raise ForbiddenError("Only its author can change a comment.")
    text = _clean(text)
    if text != comment.text:
        Comment.objects.filter(project=project, pk=comment.pk).update(
            text=text, edited_at=now, updated_at=now
        )
        comment.text, comment.edited_at = text, now
        _mention(project, comment, now)
    return comment


@transaction.atomic
def delete_comment(*, project: Project, comment_id: UUID, actor: User | None) -> Comment:
    """Delete one's own comment, or any as an admin. Raises NotFoundError, ForbiddenError."""
    comment = _locked(project, comment_id)
    is_own = actor is not None and comment.author_id == actor.pk
    if not is_own and ROLE_RANK[project.role] < ROLE_RANK[Role.ADMIN]:
        raise ForbiddenError("Deleting a comment of somebody else needs the role admin.")
    CommentMention.objects.filter(comment=comment.pk)._raw_delete("default")
    Comment.objects.filter(project=project, pk=comment.pk)._raw_delete("default")
    return comment


@transaction.atomic
def resolve_comment(
    *, project: Project, comment_id: UUID, resolved: bool, actor: User, now: dt.datetime
) -> Comment:
    """Mark it as dealt with, or open it again. Doing it twice changes nothing."""
    comment = _locked(project, comment_id)
    if (comment.resolved_at is not None) != resolved:
        comment.resolved_at = now if resolved else None
        comment.resolved_by = actor if resolved else None
        Comment.objects.filter(project=project, pk=comment.pk).update(
            resolved_at=comment.resolved_at, resolved_by=comment.resolved_by, updated_at=now
        )
    return comment


def _clean(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\x00", "").strip()
    if not 1 <= len(text) <= MAX_TEXT:
        raise DomainError(f"text must have 1 to {MAX_TEXT:,} characters.", fields=["text"])
    return text


def _check_subject(project: Project, trace_id: str, span_id: str) -> None:
    trace = detail.trace_of(project, trace_id)
    if trace is None:
        raise NotFoundError("This trace has not arrived, or it was deleted.")
    if span_id and detail.step_of(trace, span_id) is None:
        raise NotFoundError("This step has not arrived, or it was deleted.")


def _locked(project: Project, comment_id: UUID) -> Comment:
    comment = Comment.objects.select_for_update().filter(project=project, pk=comment_id).first()
    if comment is None:
        raise NotFoundError("There is no such comment in this project.")
    return comment


def _mention(project: Project, comment: Comment, now: dt.datetime) -> None:
    """One row and one outbox row for each member mentioned for the first time, the author aside."""
    if "@" not in comment.text:
        return
    members = Membership.objects.select_related("user").filter(organization=project.organization_id)
    people = mentioned(comment.text, handles_of(member.user for member in members))
    known = set(CommentMention.objects.filter(comment=comment.pk).values_list("user_id", flat=True))
    fresh = [one for one in people if one.pk not in known and one.pk != comment.author_id]
    for one in fresh[: max(0, MAX_MENTIONS - len(known))]:
        mention = CommentMention.objects.create(comment=comment, user=one)
        outbox.enqueue(
            topic=TOPIC,
            key=f"{TOPIC}:{mention.pk}",
            payload={"mention_id": str(mention.pk), "project_id": str(project.pk)},
            now=now,
        )


def handle_mention_mail(*, payload: dict[str, Any], now: dt.datetime) -> None:
    """Outbox work: tell one member that a comment names them, unless it or their membership is gone."""
    mention = (
        CommentMention.objects.select_related("comment__project__organization", "user")
        .filter(pk=payload["mention_id"], mailed_at=None, comment__project_id=payload["project_id"])
        .first()
    )
    if mention is None:
        return
    comment = mention.comment
    project = comment.project
    is_member = Membership.objects.filter(
        organization=project.organization_id, user=mention.user_id
    ).exists()
    if not is_member or project.status == Project.Status.DELETING:
        return
    path = reverse(
        "traces:trace_detail", kwargs={"slug": str(project.pk), "trace_id": comment.trace_id}
    )
    link = settings.LLMLAB_BASE_URL + with_query(path, step=comment.span_id)
    context = {"comment": comment, "project": project, "link": f"{link}#comment-{comment.pk}"}
    subject = render_to_string("traces/emails/mention.subject.txt", context).strip()
    body = render_to_string("traces/emails/mention.body.txt", context)
    send_mail(subject, body, None, [mention.user.email])
    CommentMention.objects.filter(pk=mention.pk).update(mailed_at=now)
