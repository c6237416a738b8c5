"""Reads about people and organisations."""

import datetime as dt

from django.db.models import QuerySet
from django.http import HttpRequest
from rest_framework.request import Request

from accounts.models import AuditEvent, Invitation, Membership, Organization, Role, User
from core.errors import DomainError, NotFoundError

SESSION_ORGANIZATION = "organization_id"


def person(request: HttpRequest | Request) -> User:
    """The logged-in user of a request that got past `login_required` or a permission."""
    user = request.user
    if not isinstance(user, User):
        raise TypeError("This view is open to anonymous requests; it has no person.")
    return user


def memberships_of(user: User) -> list[Membership]:
    """The user's memberships with their organisations, by name. One query per user object."""
    cached: list[Membership] | None = getattr(user, "_memberships", None)
    if cached is None:
        cached = list(
            Membership.objects.filter(user=user)
            .select_related("organization")
            .order_by("organization__name", "organization_id")
        )
        user._memberships = cached  # type: ignore[attr-defined]  # lives as long as the request's user
    return cached


def current_membership(request: HttpRequest) -> Membership | None:
    """The membership in the organisation chosen in the switcher, else the first one; None without
    any.
    """
    memberships = memberships_of(person(request))
    chosen = request.session.get(SESSION_ORGANIZATION)
    for membership in memberships:
        if str(membership.organization_id) == chosen:
            return membership
    return memberships[0] if memberships else None


def organization_for(user: User, slug: str, role: Role = Role.VIEWER) -> Membership:
    """The user's membership (with its organisation) by slug. One query.

    Raises NotFoundError for unknown and foreign organisations alike, DomainError 403 when the role
    is too low.
    """
    membership = (
        Membership.objects.select_related("organization")
        .filter(user=user, organization__slug=slug)
        .first()
    )
    if membership is None:
        raise NotFoundError("There is no such organisation, or you are not a member of it.")
    if not membership.allows(role):
        raise DomainError(
            f"This needs the role {role.label.lower()}.", code="forbidden", status=403
        )
    return membership


def page_membership(request: HttpRequest, slug: str, role: Role = Role.VIEWER) -> Membership:
    """`organization_for` the reader of a page, whose menu then shows this organisation. One query."""
    membership = organization_for(person(request), slug, role)
    request.current_membership = membership  # type: ignore[attr-defined]
    return membership


def members_of(organization: Organization) -> QuerySet[Membership]:
    """Members with their people, oldest first. One query."""
    return organization.memberships.select_related("user").order_by("created_at", "id")


def open_invitations(organization: Organization, *, now: dt.datetime) -> QuerySet[Invitation]:
    """Invitations that can still be accepted, newest first. One query."""
    return (
        organization.invitations.filter(accepted_at=None, revoked_at=None, expires_at__gt=now)
        .select_related("invited_by", "organization")
        .order_by("-created_at", "-id")
    )


def audit_events(
    organization: Organization, *, action: str = "", actor: str = ""
) -> QuerySet[AuditEvent]:
    """The organisation's audit trail, newest first, optionally of one action prefix or actor."""
    events = organization.audit_events.order_by("-id")
    if action:
        events = events.filter(action__startswith=action)
    if actor:
        events = events.filter(actor_label__icontains=actor)
    return events
