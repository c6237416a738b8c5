"""Reads of comments, share links, score definitions and collections."""

import datetime as dt

from django.db.models import Count, Q, QuerySet

from accounts.models import Membership, User
from core.errors import NotFoundError
from projects.models import Project
from traces.comment_text import handles_of
from traces.models import Collection, CollectionItem, Comment, ScoreDefinition, ShareLink, Trace
from traces.selectors import detail

MAX_HANDLES = 200  # offered below a comment; every member can be mentioned


def existing_trace(project: Project, trace_id: str) -> Trace:
    """One query. Raises NotFoundError."""
    trace = detail.trace_of(project, trace_id)
    if trace is None:
        raise NotFoundError("This trace has not arrived, or it was deleted.")
    return trace


def comments_of(
    project: Project, trace_id: str, *, span_id: str | None = None
) -> QuerySet[Comment]:
    """The trace's comments, or those of one step ("": of the trace itself), oldest first. Two queries with mentions."""
    found = Comment.objects.filter(project=project, trace_id=trace_id)
    if span_id is not None:
        found = found.filter(span_id=span_id)
    return (
        found.select_related("author", "resolved_by")
        .prefetch_related("mentions")
        .order_by("created_at", "id")
    )


def mention_handles(project: Project) -> dict[str, User]:
    """Whom a comment can mention, by handle, in alphabetical order. One query."""
    members = Membership.objects.filter(organization=project.organization_id)
    people = [member.user for member in members.select_related("user").order_by("user__email")]
    return dict(sorted(handles_of(people).items()))


def open_links(project: Project, *, now: dt.datetime, trace_id: str = "") -> QuerySet[ShareLink]:
    """Links that work at `now`, newest first. One query."""
    found = ShareLink.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=now), project=project, revoked_at=None
    )
    if trace_id:
        found = found.filter(trace_id=trace_id)
    return found.select_related("created_by").order_by("-created_at", "-id")


def share_links(project: Project) -> QuerySet[ShareLink]:
    """Every link there ever was, newest first. One query."""
    found = ShareLink.objects.filter(project=project)
    return found.select_related("created_by").order_by("-id")


def score_definitions(project: Project, *, active: bool = False) -> QuerySet[ScoreDefinition]:
    """The project's definitions by name; `active` leaves archived ones out. One query."""
    found = ScoreDefinition.objects.filter(project=project)
    if active:
        found = found.filter(archived_at=None)
    return found.order_by("name")


def collections_of(project: Project, *, search: str = "") -> QuerySet[Collection]:
    """Collections with how many items each has (`item_count`), newest first. One query."""
    found = Collection.objects.filter(project=project)
    if search:
        found = found.filter(name__icontains=search.replace("\x00", "")[:100])
    return (
        found.select_related("created_by")
        .annotate(item_count=Count("items", filter=Q(items__project=project)))
        .order_by("-id")
    )


def items_of(project: Project, collection: Collection) -> QuerySet[CollectionItem]:
    """A collection's items, newest first. One query."""
    found = CollectionItem.objects.filter(project=project, collection=collection.pk)
    return found.select_related("added_by").order_by("-id")
