"""Invitations: an e-mail address is offered a role; the link works for a week, once, and for that
address only.

The token is an HMAC of the invitation's id, so the outbox row that mails it carries no secret and
the inviter can be shown the link again; the database keeps its SHA-256.
"""

import base64
import datetime as dt
import hashlib
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.crypto import salted_hmac

from accounts.models import Invitation, Membership, Organization, Role, User
from accounts.services import ForbiddenError, check_may_grant, record_audit_event
from core import outbox
from core.errors import ConflictError, NotFoundError
from core.ids import uuid7

TOPIC = "accounts.invitation_mail"
VALID_FOR = dt.timedelta(days=7)
GONE = "This invitation is unknown, used, withdrawn or older than 7 days. Ask for a new one."


def token_of(invitation_id: UUID) -> str:
    """The secret part of the link: 256 bits from the server's key."""
    digest = salted_hmac("accounts.invitation", str(invitation_id), algorithm="sha256").digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def hash_token(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def link_of(invitation: Invitation) -> str | None:
    """The link to hand over, or None when the server's secret key has changed since it was made."""
    token = token_of(invitation.pk)
    if hash_token(token) != invitation.token_hash:
        return None
    return settings.LLMLAB_BASE_URL + reverse("accounts:invitation_detail", args=[token])


def find_open(token: str, *, now: dt.datetime) -> Invitation | None:
    """The invitation behind `token` while it can be accepted. One query."""
    return (
        Invitation.objects.select_related("organization", "invited_by")
        .filter(token_hash=hash_token(token), accepted_at=None, revoked_at=None, expires_at__gt=now)
        .first()
    )


@transaction.atomic
def invite_member(
    *, organization: Organization, email: str, role: Role, actor: Membership, now: dt.datetime
) -> Invitation:
    """Offer `role` to `email`, replacing an open invitation to the same address, and mail the link
    from the outbox.

    Raises ForbiddenError when the actor may not grant the role, ConflictError when the address is a
    member already.
    """
    check_may_grant(actor, role)
    email = email.strip().lower()
    if Membership.objects.filter(organization=organization, user__email__iexact=email).exists():
        raise ConflictError(f"{email} is a member already.", fields=["email"])
    organization.invitations.filter(email=email, accepted_at=None, revoked_at=None).update(
        revoked_at=now
    )
    invitation_id = uuid7()
    invitation = Invitation.objects.create(
        pk=invitation_id,
        organization=organization,
        email=email,
        role=role,
        token_hash=hash_token(token_of(invitation_id)),
        invited_by=actor.user,
        expires_at=now + VALID_FOR,
    )
    outbox.enqueue(
        topic=TOPIC,
        key=f"{TOPIC}:{invitation_id}",
        payload={"invitation_id": str(invitation_id)},
        now=now,
    )
    record_audit_event(
        organization_id=organization.pk,
        actor=actor.user,
        action="invitation.created",
        target=email,
        data={"role": str(role)},
    )
    return invitation


@transaction.atomic
def revoke_invitation(*, invitation: Invitation, actor: Membership, now: dt.datetime) -> None:
    """Withdraw an invitation. Raises ForbiddenError; withdrawing twice changes nothing."""
    if not actor.allows(Role.ADMIN):
        raise ForbiddenError("Only admins and owners manage members.")
    changed = Invitation.objects.filter(
        pk=invitation.pk, organization_id=actor.organization_id, accepted_at=None, revoked_at=None
    ).update(revoked_at=now)
    if changed:
        record_audit_event(
            organization_id=invitation.organization_id,
            actor=actor.user,
            action="invitation.revoked",
            target=invitation.email,
        )


@transaction.atomic
def accept_invitation(*, token: str, user: User, now: dt.datetime) -> Membership:
    """Make `user` a member. Raises NotFoundError for a dead link, ForbiddenError when it was meant
    for another address.
    """
    invitation = (
        Invitation.objects.select_for_update()
        .filter(token_hash=hash_token(token), accepted_at=None, revoked_at=None, expires_at__gt=now)
        .first()
    )
    if invitation is None:
        raise NotFoundError(GONE)
    if invitation.email.lower() != user.email.lower():
        raise ForbiddenError(
            f"This invitation is for {invitation.email}; you are logged in as {user.email}. Log in with that address."
        )
    membership, created = Membership.objects.get_or_create(
        organization_id=invitation.organization_id, user=user, defaults={"role": invitation.role}
    )
    invitation.accepted_at = now
    invitation.save(update_fields=["accepted_at", "updated_at"])
    if created:
        record_audit_event(
            organization_id=invitation.organization_id,
            actor=user,
            action="invitation.accepted",
            target=user.email,
            data={"role": invitation.role},
        )
    return membership


def handle_invitation_mail(*, payload: dict[str, Any], now: dt.datetime) -> None:
    """Outbox work: mail the link, unless the invitation was withdrawn, used or has expired
    meanwhile.
    """
    invitation = (
        Invitation.objects.select_related("organization", "invited_by")
        .filter(pk=payload["invitation_id"], accepted_at=None, revoked_at=None, expires_at__gt=now)
        .first()
    )
    link = link_of(invitation) if invitation else None
    if invitation is None or link is None:
        return
    context = {"invitation": invitation, "link": link}
    subject = render_to_string("accounts/emails/invitation.subject.txt", context).strip()
    body = render_to_string("accounts/emails/invitation.body.txt", context)
    send_mail(subject, body, None, [invitation.email])
