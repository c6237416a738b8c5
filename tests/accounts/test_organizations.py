"""Organisations: creating, renaming, switching, the audit trail, one's own page, the system under
races.
"""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client

from accounts import services
from accounts.models import AuditEvent, Membership, Organization, Role
from core.errors import ConflictError, DomainError
from tests.factories.accounts import (
    AuditEventFactory,
    MembershipFactory,
    OrganizationFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
SETTINGS = "/organizations/acme/settings/"


def test_taken_slug_gets_a_random_suffix() -> None:
    first = services.create_organization(name="Acme & Söhne", owner=UserFactory())
    second = services.create_organization(name="Acme & Söhne", owner=UserFactory())
    assert first.slug == "acme-sohne"
    assert second.slug.startswith("acme-sohne-")
    assert len(second.slug) == len("acme-sohne-") + 6
    assert bytes(first.data_key) != bytes(second.data_key)


@pytest.mark.parametrize("name", ["", "   ", "x" * 121, "a\x00b", "a\nb"])
def test_unusable_name_denied(name: str) -> None:
    with pytest.raises(DomainError) as caught:
        services.create_organization(name=name, owner=UserFactory())
    assert caught.value.fields == ("name",)
    assert Organization.objects.count() == 0


def test_name_without_letters_for_a_slug_works() -> None:
    assert services.create_organization(name="日本", owner=UserFactory()).slug == "team"


def test_further_organization_becomes_the_current_one(
    acme: SimpleNamespace, client_of: Any
) -> None:
    client = client_of(acme.viewer)
    assert client.get("/organizations/new/").status_code == 200
    response = client.post("/organizations/new/", {"name": "Side"})
    assert response["Location"] == "/projects/new/"
    side = Organization.objects.get(slug="side")
    assert Membership.objects.get(organization=side).role == Role.OWNER
    assert client.session["organization_id"] == str(side.pk)
    assert client.post("/organizations/new/", {"name": "  "}).status_code == 422


def test_switch_changes_the_current_organization(
    acme: SimpleNamespace, globex: SimpleNamespace, client_of: Any
) -> None:
    MembershipFactory(organization=globex.organization, user=acme.member.user)
    client = client_of(acme.member)
    assert "Projects of Acme" in client.get("/projects/").content.decode()
    assert client.post("/organizations/globex/switch/")["Location"] == "/projects/"
    assert "Projects of Globex" in client.get("/projects/").content.decode()
    assert client_of(acme.viewer).post("/organizations/globex/switch/").status_code == 404


def test_admin_renames(acme: SimpleNamespace, client_of: Any) -> None:
    assert (
        client_of(acme.admin).post(SETTINGS, {"name": "Acme Inc", "allows_sharing": "on"})[
            "Location"
        ]
        == SETTINGS
    )
    organization = Organization.objects.get(pk=acme.organization.pk)
    assert (organization.name, organization.slug) == ("Acme Inc", "acme")
    assert AuditEvent.objects.get().data == {"from": "Acme"}


def test_rename_denied(acme: SimpleNamespace, globex: SimpleNamespace, client_of: Any) -> None:
    for who, status in [(acme.member, 403), (acme.viewer, 403), (globex.owner, 404)]:
        client = client_of(who)
        assert client.get(SETTINGS).status_code == status
        assert client.post(SETTINGS, {"name": "Mine"}).status_code == status
    assert Client().post(SETTINGS, {"name": "Mine"}).status_code == 302
    assert client_of(acme.owner).post(SETTINGS, {"name": ""}).status_code == 422
    assert Organization.objects.get(pk=acme.organization.pk).name == "Acme"
    assert AuditEvent.objects.count() == 0


def test_audit_trail_is_filtered_paged_and_walled(
    acme: SimpleNamespace,
    globex: SimpleNamespace,
    client_of: Any,
    django_assert_max_num_queries: Any,
) -> None:
    for number in range(60):
        AuditEventFactory(
            id=UUID(int=number), organization=acme.organization, target=f"target-{number:02}"
        )
    AuditEventFactory(
        id=UUID(int=60),
        organization=acme.organization,
        action="api_key.revoked",
        target="the key",
    )
    AuditEventFactory(organization=globex.organization, target="foreign")
    client = client_of(acme.owner)
    with django_assert_max_num_queries(7):
        first = client.get(SETTINGS)
    assert [event.target for event in first.context["events"]][:2] == ["the key", "target-59"]
    assert len(first.context["events"]) == 50
    second = client.get(f"{SETTINGS}?before={first.context['older']}")
    assert [event.target for event in second.context["events"]] == [
        f"target-{number:02}" for number in range(10, -1, -1)
    ]
    assert second.context["older"] is None
    found = client.get(f"{SETTINGS}?action=api_key").context["events"]
    assert [event.target for event in found] == ["the key"]
    assert b"foreign" not in first.content + second.content
    assert client.get(f"{SETTINGS}?before=x").status_code == 400
    assert client.get(f"{SETTINGS}?action=%00").status_code == 400


def test_own_page(acme: SimpleNamespace, client_of: Any) -> None:
    client = client_of(acme.viewer)
    assert "viewer@acme.example" in client.get("/me/").content.decode()
    assert client.post("/me/", {"name": "Vera View"})["Location"] == "/me/"
    acme.viewer.user.refresh_from_db()
    assert acme.viewer.user.name == "Vera View"
    assert client.post("/me/", {"name": "x" * 121}).status_code == 422
    assert Client().get("/me/")["Location"] == "/accounts/login/?next=/me/"


@pytest.mark.django_db(transaction=True)
def test_two_owners_leaving_at_once_leave_one() -> None:
    organization = OrganizationFactory()
    owners = MembershipFactory.create_batch(2, organization=organization, owner=True)

    def leave(membership: Membership) -> bool:
        try:
            services.remove_member(membership=membership, actor=membership.user)
        except ConflictError:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(leave, owners)) == [False, True]
    assert Membership.objects.filter(organization=organization, role=Role.OWNER).count() == 1
