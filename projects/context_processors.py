"""`shell` for the templates: where the reader is. Nothing is read until a template asks; then at
most two queries.
"""

from functools import cached_property

from django.http import HttpRequest

from accounts.models import Membership, Organization, Role
from accounts.selectors import current_membership, person
from projects.access import SESSION_PROJECT
from projects.models import Project
from projects.selectors import projects_of


class Shell:
    """The current project and organisation, and every project the reader could switch to."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    @cached_property
    def is_signed_in(self) -> bool:
        user = getattr(self._request, "user", None)
        return bool(user is not None and user.is_authenticated)

    @cached_property
    def projects(self) -> list[Project]:
        return projects_of(person(self._request)) if self.is_signed_in else []

    @cached_property
    def project(self) -> Project | None:
        """The project of this page, else the last used one, else the first of the organisation."""
        if not self.is_signed_in:
            return None
        shown: Project | None = getattr(self._request, "current_project", None)
        if shown is not None:
            return shown
        return last_project(self._request, self.projects, self._page_membership)

    @cached_property
    def _page_membership(self) -> Membership | None:
        membership: Membership | None = getattr(self._request, "current_membership", None)
        return membership

    @cached_property
    def _membership(self) -> Membership | None:
        if not self.is_signed_in:
            return None
        return self._page_membership or current_membership(self._request)

    @cached_property
    def organization(self) -> Organization | None:
        if self._page_membership is not None:
            return self._page_membership.organization
        if self.project is not None:
            return self.project.organization
        return self._membership.organization if self._membership else None

    @cached_property
    def role(self) -> Role | None:
        if self._page_membership is not None:
            return Role(self._page_membership.role)
        if self.project is not None:
            return self.project.role
        return Role(self._membership.role) if self._membership else None


def last_project(
    request: HttpRequest, projects: list[Project], membership: Membership | None = None
) -> Project | None:
    """The last used of `projects`, else the first active one; only of `membership`'s organisation
    when given.
    """
    if membership is not None:
        projects = [p for p in projects if p.organization_id == membership.organization_id]
    wanted = request.session.get(SESSION_PROJECT)
    for project in projects:
        if str(project.pk) == wanted:
            return project
    return next(
        (p for p in projects if p.status == Project.Status.ACTIVE),
        projects[0] if projects else None,
    )


def shell(request: HttpRequest) -> dict[str, Shell]:
    """The context processor."""
    return {"shell": Shell(request)}
