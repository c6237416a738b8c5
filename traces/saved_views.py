"""Saved views of the trace list: whose they are, who may change them, which one a project opens with."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.http import QueryDict
from django.utils import timezone

from accounts.models import ROLE_RANK, Role, User
from accounts.services import record_audit_event
from core.errors import ConflictError, DomainError, NotFoundError
from projects.models import Project
from traces.models import SavedView

PAGE = "traces"
MAX_NAME = 80
MAX_QUERY = 6_000
MAX_VIEWS = 200
CHANGEABLE = ("name", "query", "layout", "is_shared", "is_default")


@dataclass(frozen=True)
class Actor:
    """Who changes a view: a person with a role, or a key with the person who made it, if they are still there."""

    user: User | None
    role: Role
    label: str = ""

    @property
    def may_share(self) -> bool:
        return ROLE_RANK[self.role] >= ROLE_RANK[Role.MEMBER]


def visible_views(project: Project, user: User | None, *, page: str = PAGE) -> list[SavedView]:
    """The reader's own views and the project's shared ones, by name. One query."""
    mine = Q(author=user) if user is not None else Q(pk__in=[])
    found = SavedView.objects.filter(mine | Q(is_shared=True), project=project, page=page)
    return list(found.select_related("author").order_by("name", "created_at")[:MAX_VIEWS])


def view_of(project: Project, user: User | None, view_id: UUID) -> SavedView:
    """One view the reader may see. One query. Raises NotFoundError."""
    mine = Q(author=user) if user is not None else Q(pk__in=[])
    found = SavedView.objects.filter(mine | Q(is_shared=True), project=project, pk=view_id).first()
    if found is None:
        raise NotFoundError("This view was deleted, or it is not shared with you.")
    return found


def default_view(views: list[SavedView]) -> SavedView | None:
    """What the list opens with when the address names no filter."""
    return next((view for view in views if view.is_default and view.is_shared), None)


def may_change(view: SavedView, actor: Actor) -> bool:
    """Authors change their own; shared ones any member."""
    is_own = actor.user is not None and view.author_id == actor.user.pk
    return actor.may_share if view.is_shared else is_own


def create_view(
    *,
    project: Project,
    actor: Actor,
    name: str,
    query: str,
    layout: dict[str, Any] | None = None,
    is_shared: bool = False,
    is_default: bool = False,
    page: str = PAGE,
) -> SavedView:
    """A new view of the actor's. Raises DomainError (name, role), ConflictError (name taken)."""
    is_shared = is_shared or is_default
    _check_sharing(actor, is_shared)
    if actor.user is None:
        raise ConflictError("The person who made this key is gone; views need an author.")
    if SavedView.objects.filter(project=project, page=page).count() >= MAX_VIEWS:
        raise ConflictError(f"A project keeps at most {MAX_VIEWS} views; delete one first.")
    view = SavedView(
        project=project,
        page=page,
        author=actor.user,
        name=_name(name),
        query=_query(query),
        layout=layout or {},
        is_shared=is_shared,
        is_default=is_default,
    )
    _save(view)
    if is_shared:
        _audit(view, actor, "trace_view.shared")
    return view


def change_view(*, view: SavedView, actor: Actor, changes: dict[str, Any]) -> SavedView:
    """Change name, query, layout, is_shared or is_default. Raises DomainError, ConflictError."""
    if not may_change(view, actor):
        raise DomainError(
            "Only its author, or a member for a shared view, can change this view; save it under another name.",
            code="forbidden",
            status=403,
        )
    before = (view.is_shared, view.is_default)
    if "name" in changes:
        view.name = _name(changes["name"])
    if "query" in changes:
        view.query = _query(changes["query"])
    if "layout" in changes:
        view.layout = changes["layout"]
    view.is_shared = changes.get("is_shared", view.is_shared)
    # A view that is not shared cannot be what everybody's list opens with.
    view.is_default = changes.get("is_default", view.is_default) and view.is_shared
    if changes.get("is_default") and not view.is_shared:
        view.is_shared = view.is_default = True
    if (view.is_shared, view.is_default) != before:
        _check_sharing(actor, True)
    _save(view)
    if (view.is_shared, view.is_default) != before:
        _audit(view, actor, "trace_view.shared" if view.is_shared else "trace_view.unshared")
    return view


def delete_view(*, view: SavedView, actor: Actor) -> dict[str, Any]:
    """Delete it; what `restore_view` needs to bring it back. Raises DomainError."""
    if not may_change(view, actor):
        raise DomainError(
            "Only its author, or a member for a shared view, can delete this view.",
            code="forbidden",
            status=403,
        )
    kept = {
        "name": view.name,
        "query": view.query,
        "layout": view.layout,
        "is_shared": view.is_shared,
        "is_default": view.is_default,
        "page": view.page,
    }
    SavedView.objects.filter(project=view.project_id, pk=view.pk).delete()
    if kept["is_shared"]:
        _audit(view, actor, "trace_view.deleted")
    return kept


def restore_view(*, project: Project, actor: Actor, kept: dict[str, Any]) -> SavedView:
    """Bring a deleted view back, as the actor's. Raises like create_view."""
    return create_view(project=project, actor=actor, **kept)


def _check_sharing(actor: Actor, wants: bool) -> None:
    if wants and not actor.may_share:
        raise DomainError(
            "Sharing a view or making it the default needs the role member.",
            code="forbidden",
            status=403,
        )


def _name(text: str) -> str:
    name = " ".join(text.replace("\x00", "").split())
    if not 1 <= len(name) <= MAX_NAME:
        raise DomainError(f"name must have 1 to {MAX_NAME} characters.", fields=["name"])
    return name


def _query(text: str) -> str:
    text = text.replace("\x00", "").removeprefix("?")
    if len(text) > MAX_QUERY:
        raise DomainError(f"query has more than {MAX_QUERY:,} characters.", fields=["query"])
    # Which page of the list was open is not part of the view.
    params = QueryDict(text, mutable=True)
    for name in ("after", "before", "peek", "view", "tail"):
        params.pop(name, None)
    return params.urlencode()


def _save(view: SavedView) -> None:
    try:
        with transaction.atomic():
            if view.is_default:
                # The lock keeps two people from making two defaults.
                others = SavedView.objects.filter(
                    project=view.project_id, page=view.page, is_default=True
                )
                others.exclude(pk=view.pk).update(is_default=False)
            if view._state.adding:
                view.save()
            else:
                SavedView.objects.filter(project=view.project_id, pk=view.pk).update(
                    **{name: getattr(view, name) for name in CHANGEABLE}, updated_at=timezone.now()
                )
    except IntegrityError:
        raise ConflictError(
            f"There is a view named {view.name!r} of yours already; choose another name.",
            fields=["name"],
        ) from None


def _audit(view: SavedView, actor: Actor, action: str) -> None:
    record_audit_event(
        organization_id=view.project.organization_id,
        actor=None if actor.label else actor.user,
        actor_label=actor.label,
        action=action,
        target=view.name,
        data={"project": str(view.project_id), "is_default": view.is_default},
    )
