"""Invitations: made by admins, mailed from the outbox, accepted once by the invited address."""

import datetime as dt
import hashlib
from types import SimpleNamespace
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from accounts import invitations
from accounts.models import AuditEvent, Invitation, Membership, Role
from core import outbox
from core.models import OutboxItem
from tests.factories.accounts import InvitationFactory, MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db
LIST = "/organizations/acme/members/"


def invite(client: Client, email: str = "New@Acme.example", role: str = "member") -> Any:
    return client.post(LIST, {"email": email, "role": role})


def test_admin_invites_and_the_mail_carries_the_link(acme: SimpleNamespace, client_of: Any) -> None:
    client = client_of(acme.admin)
    assert invite(client)["Location"] == LIST
    invitation = Invitation.objects.get()
    assert (invitation.email, invitation.role) == ("new@acme.example", Role.MEMBER)
    link = invitations.link_of(invitation)
    assert link is not None
    token = link.removeprefix("http://localhost:8000/invitations/").strip("/")
    assert hashlib.sha256(token.encode()).hexdigest() == invitation.token_hash
    assert OutboxItem.objects.get().payload == {"invitation_id": str(invitation.pk)}  # no secret

    assert outbox.drain(now=timezone.now) == 1
    assert (mail.outbox[0].to, mail.outbox[0].subject) == (
        ["new@acme.example"],
        "You are invited to Acme on LLMLab",
    )
    assert link in mail.outbox[0].body
    assert link in client.get(LIST).content.decode()
    assert AuditEvent.objects.get().action == "invitation.created"


def test_second_invitation_replaces_the_first(acme: SimpleNamespace, client_of: Any) -> None:
    client = client_of(acme.owner)
    invite(client)
    invite(client, role="viewer")
    old, new = Invitation.objects.order_by("created_at")
    assert (old.revoked_at is not None, new.revoked_at, new.role) == (True, None, "viewer")
    outbox.drain(now=timezone.now)
    assert len(mail.outbox) == 1  # the withdrawn one is not mailed


@pytest.mark.parametrize(
    ("actor", "email", "role", "status"),
    [
        ("admin", "new@acme.example", "owner", 422),
        ("admin", "not an address", "member", 422),
        ("owner", "VIEWER@acme.example", "member", 422),  # a member already
        ("member", "new@acme.example", "viewer", 403),
        ("viewer", "new@acme.example", "viewer", 403),
    ],
)
def test_invitation_denied(
    acme: SimpleNamespace, client_of: Any, actor: str, email: str, role: str, status: int
) -> None:
    assert invite(client_of(getattr(acme, actor)), email, role).status_code == status
    assert Invitation.objects.count() == 0
    assert OutboxItem.objects.count() == 0


def test_invitation_from_outside_denied(
    acme: SimpleNamespace, globex: SimpleNamespace, client_of: Any
) -> None:
    assert invite(client_of(globex.owner)).status_code == 404
    assert invite(Client()).status_code == 302
    assert Invitation.objects.count() == 0


def test_invited_person_accepts_once(acme: SimpleNamespace, client_of: Any) -> None:
    invitation = InvitationFactory(
        organization=acme.organization, token="abc", email="mina@example.com", role=Role.ADMIN
    )
    user = UserFactory(email="mina@example.com")
    client = client_of(SimpleNamespace(user=user))
    assert "Accept" in client.get("/invitations/abc/").content.decode()
    assert client.post("/invitations/abc/acceptance/")["Location"] == "/projects/"
    assert Membership.objects.get(user=user).role == Role.ADMIN
    invitation.refresh_from_db()
    assert invitation.accepted_at is not None
    assert client.session["organization_id"] == str(acme.organization.pk)
    assert client.post("/invitations/abc/acceptance/").status_code == 404


def test_acceptance_never_changes_a_role(acme: SimpleNamespace, client_of: Any) -> None:
    InvitationFactory(
        organization=acme.organization, token="abc", email="viewer@acme.example", role=Role.OWNER
    )
    client_of(acme.viewer).post("/invitations/abc/acceptance/")
    acme.viewer.refresh_from_db()
    assert acme.viewer.role == Role.VIEWER


def test_acceptance_by_another_address_denied(acme: SimpleNamespace, client_of: Any) -> None:
    InvitationFactory(organization=acme.organization, token="abc", email="mina@example.com")
    other = client_of(SimpleNamespace(user=UserFactory()))
    assert "logged in with another address" in other.get("/invitations/abc/").content.decode()
    assert other.post("/invitations/abc/acceptance/").status_code == 403
    assert Client().post("/invitations/abc/acceptance/").status_code == 302
    assert Membership.objects.count() == 4


@pytest.mark.parametrize("state", ["expired", "revoked", "accepted", "unknown"])
def test_dead_link_denied(client: Client, state: str) -> None:
    now = timezone.now()
    dead: dict[str, Any] = {
        "expired": {"expires_at": now - dt.timedelta(seconds=1)},
        "revoked": {"revoked_at": now},
        "accepted": {"accepted_at": now},
        "unknown": {"token": "other"},
    }
    user = UserFactory(email="mina@example.com")
    InvitationFactory(**{"token": "abc", "email": user.email, **dead[state]})
    client.force_login(user)
    assert client.get("/invitations/abc/").status_code == 404
    assert client.post("/invitations/abc/acceptance/").status_code == 404
    assert Membership.objects.count() == 0


def test_admin_withdraws_an_invitation(acme: SimpleNamespace, client_of: Any) -> None:
    invitation = InvitationFactory(organization=acme.organization)
    url = f"/organizations/acme/invitations/{invitation.pk}/revocation/"
    assert client_of(acme.member).post(url).status_code == 403
    invitation.refresh_from_db()
    assert invitation.revoked_at is None
    client_of(acme.admin).post(url)
    invitation.refresh_from_db()
    assert invitation.revoked_at is not None
    assert AuditEvent.objects.get().action == "invitation.revoked"


def test_withdrawal_of_a_foreign_invitation_denied(
    acme: SimpleNamespace, globex: SimpleNamespace, client_of: Any
) -> None:
    invitation = InvitationFactory(organization=acme.organization)
    for slug in ("acme", "globex"):
        url = f"/organizations/{slug}/invitations/{invitation.pk}/revocation/"
        assert client_of(globex.owner).post(url).status_code == 404
    invitation.refresh_from_db()
    assert invitation.revoked_at is None


def test_link_is_hidden_after_the_secret_key_changed(settings: Any) -> None:
    member = MembershipFactory(owner=True)
    invitation = invitations.invite_member(
        organization=member.organization,
        email="new@example.com",
        role=Role.VIEWER,
        actor=member,
        now=timezone.now(),
    )
    settings.SECRET_KEY = "another-" + "k" * 50
    assert invitations.link_of(invitation) is None
