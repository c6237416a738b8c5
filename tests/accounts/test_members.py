"""The members page: who may do what to whom, and that a refusal changes nothing."""

import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEvent, Membership, Role
from tests.factories.accounts import MembershipFactory

pytestmark = pytest.mark.django_db
LIST = "/organizations/acme/members/"


def change_url(member: Membership) -> str:
    return f"{LIST}{member.pk}/"


def remove_url(member: Membership) -> str:
    return f"{LIST}{member.pk}/removal/"


def role_of(member: Membership) -> str | None:
    return Membership.objects.filter(pk=member.pk).values_list("role", flat=True).first()


@pytest.mark.parametrize("role", list(Role))
def test_every_member_sees_the_members(acme: SimpleNamespace, client_of: Any, role: Role) -> None:
    response = client_of(getattr(acme, role.value)).get(LIST)
    assert response.status_code == 200
    html = response.content.decode()
    assert all(f"{other.value}@acme.example" in html for other in Role)
    assert ("Invite someone" in html) is (role in (Role.OWNER, Role.ADMIN))


def test_members_of_another_organization_denied(
    acme: SimpleNamespace, globex: SimpleNamespace, client_of: Any
) -> None:
    client = client_of(globex.owner)
    unknown = client.get("/organizations/nowhere/members/")
    foreign = client.get(LIST)
    assert (foreign.status_code, unknown.status_code) == (404, 404)
    assert b"acme.example" not in foreign.content


def test_members_without_login_denied(acme: SimpleNamespace) -> None:
    response = Client().get(LIST)
    assert (response.status_code, response["Location"]) == (302, f"/accounts/login/?next={LIST}")


def test_members_page_has_a_query_budget(
    acme: SimpleNamespace, client_of: Any, django_assert_max_num_queries: Any
) -> None:
    MembershipFactory.create_batch(30, organization=acme.organization)
    client = client_of(acme.owner)
    with django_assert_max_num_queries(7):
        client.get(LIST)


def test_owner_changes_a_role(acme: SimpleNamespace, client_of: Any) -> None:
    response = client_of(acme.owner).post(change_url(acme.viewer), {"role": "admin"})
    assert response["Location"] == LIST
    assert role_of(acme.viewer) == "admin"
    event = AuditEvent.objects.get()
    assert (event.action, event.target, event.data) == (
        "member.role_changed",
        "viewer@acme.example",
        {"from": "viewer", "to": "admin"},
    )
    assert event.actor == acme.owner.user


@pytest.mark.parametrize(
    ("actor", "target", "role", "status"),
    [
        ("admin", "viewer", "owner", 403),  # a role above one's own
        ("admin", "owner", "viewer", 403),  # a person above oneself
        ("admin", "admin", "owner", 403),  # raising oneself
        ("member", "viewer", "member", 403),
        ("member", "member", "admin", 403),
        ("viewer", "viewer", "owner", 403),
        ("owner", "viewer", "emperor", 400),
        ("owner", "owner", "viewer", 302),  # the last owner: back with a message
    ],
)
def test_change_of_role_denied(
    acme: SimpleNamespace, client_of: Any, actor: str, target: str, role: str, status: int
) -> None:
    before = sorted(Membership.objects.values_list("pk", "role"))
    response = client_of(getattr(acme, actor)).post(
        change_url(getattr(acme, target)), {"role": role}
    )
    assert response.status_code == status
    assert sorted(Membership.objects.values_list("pk", "role")) == before
    assert AuditEvent.objects.count() == 0


def test_change_from_outside_denied(
    acme: SimpleNamespace, globex: SimpleNamespace, client_of: Any
) -> None:
    client = client_of(globex.owner)
    assert client.post(change_url(acme.viewer), {"role": "owner"}).status_code == 404
    swapped = f"/organizations/globex/members/{acme.viewer.pk}/"
    assert client.post(swapped, {"role": "owner"}).status_code == 404
    assert Client().post(change_url(acme.viewer), {"role": "owner"}).status_code == 302
    assert role_of(acme.viewer) == "viewer"


def test_owner_steps_down_when_there_is_another(acme: SimpleNamespace, client_of: Any) -> None:
    MembershipFactory(organization=acme.organization, owner=True)
    client_of(acme.owner).post(change_url(acme.owner), {"role": "member"})
    assert role_of(acme.owner) == "member"


def test_admin_removes_a_member(acme: SimpleNamespace, client_of: Any) -> None:
    client_of(acme.admin).post(remove_url(acme.member))
    assert role_of(acme.member) is None
    assert AuditEvent.objects.get().action == "member.removed"
    assert client_of(acme.member).get(LIST).status_code == 404


def test_member_leaves(acme: SimpleNamespace, client_of: Any) -> None:
    response = client_of(acme.viewer).post(remove_url(acme.viewer))
    assert response["Location"] == reverse("home")
    assert role_of(acme.viewer) is None
    assert AuditEvent.objects.get().action == "member.left"


@pytest.mark.parametrize(
    ("actor", "target", "status"),
    [
        ("admin", "owner", 403),
        ("member", "viewer", 403),
        ("viewer", "member", 403),
        ("owner", "owner", 302),  # the last owner
    ],
)
def test_removal_denied(
    acme: SimpleNamespace, client_of: Any, actor: str, target: str, status: int
) -> None:
    response = client_of(getattr(acme, actor)).post(remove_url(getattr(acme, target)))
    assert response.status_code == status
    assert Membership.objects.count() == 4
    assert AuditEvent.objects.count() == 0


def test_unknown_member_is_404(acme: SimpleNamespace, client_of: Any) -> None:
    url = f"{LIST}{uuid.uuid4()}/removal/"
    assert client_of(acme.owner).post(url).status_code == 404
