"""The only way from a request to a Project. Unknown, foreign and deleting projects are all the same
404.
"""

from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from django.db.models import F, Q
from django.http import HttpRequest
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.models import ROLE_RANK, Membership, Role, User
from accounts.selectors import SESSION_ORGANIZATION, organization_for, person
from core.errors import DomainError, NotFoundError
from projects.authentication import KeyAuth
from projects.models import ApiKey, Project

SESSION_PROJECT = "project_id"
UNKNOWN_PROJECT = "There is no such project, or you have no access to it."
# What a person must be in the organisation to do what a key with this scope does.
SCOPE_ROLES = {
    ApiKey.Scope.READ: Role.VIEWER,
    ApiKey.Scope.INGEST: Role.MEMBER,
    ApiKey.Scope.GATEWAY: Role.MEMBER,
    ApiKey.Scope.ADMIN: Role.ADMIN,
}


def parse_uuid(text: str) -> UUID | None:
    """A UUID in its usual spelling, else None."""
    if len(text) not in (32, 36):
        return None
    try:
        return UUID(text)
    except ValueError:
        return None


def project_for(
    user: User | HttpRequest | Any,
    slug: str,
    role: Role = Role.VIEWER,
    *,
    request: HttpRequest | None = None,
) -> Project:
    """The project behind `slug` (slug or UUID) when `user` (or the user of a request) is at least
    `role` there.

    One query. Raises NotFoundError when there is none the user may see, DomainError 403 when the
    role is too low. The project comes with its organisation, `.role` (the user's) and `.ref` (what
    URLs carry: the slug, or the UUID when the slug is ambiguous for this user). With a request, the
    session remembers the project.
    """
    if isinstance(user, HttpRequest):
        request, user = user, user.user
    if not isinstance(user, User):
        raise NotFoundError(UNKNOWN_PROJECT)
    project = _pick(_visible(user, slug), request)
    if ROLE_RANK[project.role] < ROLE_RANK[role]:
        raise DomainError(
            f"This needs the role {role.label.lower()}.", code="forbidden", status=403
        )
    if request is not None:
        _remember(request, project)
    return project


def _visible(user: User, slug: str) -> list[Project]:
    uid = parse_uuid(slug)
    named = Q(pk=uid) if uid else Q(slug=slug)
    if "\x00" in slug:
        return []
    projects: list[Any] = list(
        Project.objects.filter(named, organization__memberships__user=user)
        .exclude(status=Project.Status.DELETING)
        .select_related("organization")
        .annotate(user_role=F("organization__memberships__role"))
        .order_by("created_at", "id")
    )
    for project in projects:
        project.role = Role(project.user_role)
        project.ref = str(project.pk) if uid or len(projects) > 1 else project.slug
    return projects


def _pick(projects: list[Project], request: HttpRequest | None) -> Project:
    if not projects:
        raise NotFoundError(UNKNOWN_PROJECT)
    if len(projects) > 1 and request is not None:
        chosen = request.session.get(SESSION_ORGANIZATION)
        for project in projects:
            if str(project.organization_id) == chosen:
                return project
    return projects[0]


def _remember(request: HttpRequest, project: Project) -> None:
    """For the shell of this page; and for the next visit, when a person opened a page (panels that
    poll do not count).
    """
    request.current_project = project  # type: ignore[attr-defined]
    if request.method != "GET" or request.headers.get("HX-Request"):
        return
    wanted = {SESSION_PROJECT: str(project.pk), SESSION_ORGANIZATION: str(project.organization_id)}
    if any(request.session.get(name) != value for name, value in wanted.items()):
        request.session.update(wanted)


def project_from_api(
    request: Request, ref: str, scope: str, *, role: Role | None = None
) -> Project:
    """The project an API request may use with `scope`, for a key as for a person. One query.

    A key reaches its own project only (404 otherwise); a person needs `role`, by default the one
    that matches the scope. Raises NotFoundError, DomainError 403.
    """
    auth = request.auth
    if isinstance(auth, KeyAuth):
        if not auth.names_project(ref):
            raise NotFoundError(UNKNOWN_PROJECT)
        check_scope(auth, scope)
        return project_of_key(auth)
    return project_for(request.user, ref, role or SCOPE_ROLES[ApiKey.Scope(scope)])


def people_only(instead: str) -> Callable[..., Membership]:
    """`membership(request, slug, role=VIEWER)` for API views of an organisation: the person's membership, one query. A
    key is told `instead`, for it belongs to one project. Raises NotFoundError, DomainError 403."""

    def membership(request: Request, slug: str, role: Role = Role.VIEWER) -> Membership:
        if isinstance(request.auth, KeyAuth):
            raise DomainError(
                f"An API key belongs to one project; {instead}", code="forbidden", status=403
            )
        return organization_for(person(request), slug, role)

    return membership


def check_may_hold(role: Role, scopes: Iterable[str]) -> None:
    """A key must not do more than the person who makes, rotates or revokes it; raises DomainError
    403 naming the scope.
    """
    for scope in scopes:
        needed = SCOPE_ROLES[ApiKey.Scope(scope)]
        if ROLE_RANK[role] < ROLE_RANK[needed]:
            raise DomainError(
                f"A key with the scope {scope} needs the role {needed.label.lower()}.",
                code="forbidden",
                status=403,
                fields=["scopes"],
            )


def project_of_key(auth: KeyAuth) -> Project:
    """The key's project, shaped like `project_for`'s. One query."""
    project = (
        Project.objects.select_related("organization")
        .filter(pk=auth.project_id)
        .exclude(status=Project.Status.DELETING)
        .first()
    )
    if project is None:
        raise NotFoundError(UNKNOWN_PROJECT)
    project.role = Role.ADMIN if ApiKey.Scope.ADMIN in auth.scopes else Role.VIEWER
    project.ref = project.slug
    return project


def check_scope(auth: KeyAuth, scope: str) -> None:
    """Raises DomainError 403 naming the scope the key lacks."""
    if scope not in auth.scopes:
        raise DomainError(
            f"This API key lacks the scope {scope}.", code="missing_scope", status=403
        )


def HasScope(scope: str) -> type[BasePermission]:
    """A DRF permission: a key needs `scope`; a person needs to be logged in, their role is checked
    with the project.
    """

    class _HasScope(BasePermission):
        def has_permission(self, request: Request, view: APIView) -> bool:
            if isinstance(request.auth, KeyAuth):
                check_scope(request.auth, scope)
                return True
            return bool(request.user and request.user.is_authenticated)

    _HasScope.__name__ = f"HasScope_{scope}"
    return _HasScope
