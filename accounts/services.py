"""Organisations, memberships and the audit trail."""

import secrets
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from accounts.models import ROLE_RANK, AuditEvent, Membership, Organization, Role, User
from core.crypto import new_data_key
from core.errors import ConflictError, DomainError, NotFoundError

SLUG_ATTEMPTS = 5


class ForbiddenError(DomainError):
    """The person may see this but not do that."""

    code = "forbidden"
    status = 403


def record_audit_event(
    *,
    organization_id: UUID,
    actor: User | None,
    action: str,
    target: str = "",
    data: dict[str, Any] | None = None,
    actor_label: str = "",
) -> AuditEvent:
    """Write who did what to what, in the caller's transaction. `action` reads
    `area.thing.verb_past`.

    Without an `actor`, `actor_label` says what acted (an API key, "system"). Never put secrets into
    `data`.
    """
    label = actor_label or (actor.email if actor else "system")
    return AuditEvent.objects.create(
        organization_id=organization_id,
        actor=actor,
        actor_label=label[:254],
        action=action,
        target=target[:200],
        data=data or {},
    )


def create_organization(
    *, name: str, owner: User, slug: str | None = None, is_demo: bool = False
) -> Organization:
    """A tenant with its own data key and `owner` as its first owner; the slug comes from the name.

    A taken slug gets a random suffix, so that names of other tenants cannot be probed. Raises
    DomainError on an empty name.
    """
    name = clean_name(name, limit=120)
    base = slugify(slug or name)[:60] or "team"
    for attempt in range(SLUG_ATTEMPTS):
        candidate = base if attempt == 0 else f"{base}-{secrets.token_hex(3)}"
        try:
            with transaction.atomic():
                organization = Organization.objects.create(
                    name=name, slug=candidate, is_demo=is_demo, data_key=new_data_key()
                )
                Membership.objects.create(organization=organization, user=owner, role=Role.OWNER)
                record_audit_event(
                    organization_id=organization.pk,
                    actor=owner,
                    action="organization.created",
                    target=name,
                )
                return organization
        except IntegrityError:
            if attempt == SLUG_ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def clean_name(name: str, *, limit: int) -> str:
    """`name` without surrounding blanks; raises DomainError when it is empty, too long or has
    control characters.
    """
    name = name.strip()
    if not name or len(name) > limit:
        raise DomainError(f"name must have 1 to {limit} characters.", fields=["name"])
    if not name.isprintable():
        raise DomainError("name must not contain control characters.", fields=["name"])
    return name


def default_organization_name(user: User) -> str:
    """What a new person's organisation is called until they rename it."""
    return f"{user.display_name}'s team"[:120]


@transaction.atomic
def rename_organization(*, organization: Organization, name: str, actor: User) -> Organization:
    """Change the name; the slug stays, because links and scripts hold it."""
    name = clean_name(name, limit=120)
    if name != organization.name:
        old, organization.name = organization.name, name
        organization.save(update_fields=["name", "updated_at"])
        record_audit_event(
            organization_id=organization.pk,
            actor=actor,
            action="organization.renamed",
            target=name,
            data={"from": old},
        )
    return organization


@transaction.atomic
def allow_sharing(*, organization: Organization, allowed: bool, actor: User) -> None:
    """Let members make public links to traces, or forbid it, which closes the ones there are."""
    if allowed == organization.allows_sharing:
        return
    organization.allows_sharing = allowed
    organization.save(update_fields=["allows_sharing", "updated_at"])
    record_audit_event(
        organization_id=organization.pk,
        actor=actor,
        action="organization.sharing_changed",
        target=organization.name,
        data={"allowed": allowed},
    )


def _locked(organization_id: UUID) -> Organization:
    """One membership change at a time per organisation: the owner count must not race."""
    return Organization.objects.select_for_update().get(pk=organization_id)


def _acting(organization: Organization, actor: User) -> Membership:
    membership = Membership.objects.filter(organization=organization, user=actor).first()
    if membership is None:
        raise NotFoundError("You are not a member of this organisation.")
    return membership


def _keep_an_owner(membership: Membership) -> None:
    others = Membership.objects.filter(
        organization_id=membership.organization_id, role=Role.OWNER
    ).exclude(pk=membership.pk)
    if membership.role == Role.OWNER and not others.exists():
        raise ConflictError(
            "The last owner cannot leave or be demoted; make someone else an owner first."
        )


def check_may_grant(acting: Membership, role: Role) -> None:
    """Admins and owners grant roles up to their own; raises ForbiddenError."""
    if not acting.allows(Role.ADMIN):
        raise ForbiddenError("Only admins and owners manage members.")
    if ROLE_RANK[role] > ROLE_RANK[Role(acting.role)]:
        raise ForbiddenError(
            f"You cannot grant the role {role.label.lower()}; it is above your own."
        )


@transaction.atomic
def change_member_role(*, membership: Membership, role: Role, actor: User) -> Membership:
    """Give a member another role.

    Raises ForbiddenError (own role, an owner touched by an admin, a role above the actor's) or
    ConflictError (last owner).
    """
    organization = _locked(membership.organization_id)
    acting = _acting(organization, actor)
    membership = _reloaded(membership)
    check_may_grant(acting, role)
    if acting.pk == membership.pk and ROLE_RANK[role] > ROLE_RANK[Role(membership.role)]:
        raise ForbiddenError("You cannot raise your own role.")
    if ROLE_RANK[Role(membership.role)] > ROLE_RANK[Role(acting.role)]:
        raise ForbiddenError("You cannot change someone whose role is above yours.")
    if role == membership.role:
        return membership
    if role != Role.OWNER:
        _keep_an_owner(membership)
    old, membership.role = membership.role, role
    membership.save(update_fields=["role", "updated_at"])
    record_audit_event(
        organization_id=organization.pk,
        actor=actor,
        action="member.role_changed",
        target=membership.user.email,
        data={"from": old, "to": str(role)},
    )
    return membership


@transaction.atomic
def remove_member(*, membership: Membership, actor: User) -> None:
    """Take a person out of the organisation; anyone may take out themselves.

    Raises ForbiddenError when the actor's role does not allow it, ConflictError for the last owner.
    """
    organization = _locked(membership.organization_id)
    acting = _acting(organization, actor)
    membership = _reloaded(membership)
    if acting.pk != membership.pk:
        if not acting.allows(Role.ADMIN):
            raise ForbiddenError("Only admins and owners manage members.")
        if ROLE_RANK[Role(membership.role)] > ROLE_RANK[Role(acting.role)]:
            raise ForbiddenError("You cannot remove someone whose role is above yours.")
    _keep_an_owner(membership)
    email = membership.user.email
    membership.delete()
    record_audit_event(
        organization_id=organization.pk,
        actor=actor,
        action="member.left" if acting.user_id == membership.user_id else "member.removed",
        target=email,
    )


def _reloaded(membership: Membership) -> Membership:
    """The row as it is under the lock; gone means someone else was faster."""
    found = Membership.objects.select_related("user").filter(pk=membership.pk).first()
    if found is None:
        raise NotFoundError("This person is no longer a member.")
    return found


def update_appearance(
    *, user: User, time_zone: str, number_style: str, has_shortcuts: bool
) -> User:
    """How pages write times and figures for this person; the form has checked the values."""
    user.time_zone, user.number_style = time_zone, number_style
    user.has_shortcuts = has_shortcuts
    user.save(update_fields=["time_zone", "number_style", "has_shortcuts"])
    return user


def update_profile(*, user: User, name: str) -> User:
    """Change the person's own name; raises DomainError on control characters."""
    user.name = clean_name(name, limit=120) if name.strip() else ""
    user.save(update_fields=["name"])
    return user
