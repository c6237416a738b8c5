"""The operators' pages: searchable, bounded, without secrets, the trail read-only."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEvent, User
from projects.authentication import authenticate_key
from projects.models import ApiKey
from tests.factories.accounts import (
    AuditEventFactory,
    InvitationFactory,
    MembershipFactory,
    UserFactory,
)
from tests.factories.projects import ApiKeyFactory, raw_key

pytestmark = pytest.mark.django_db
LISTS = [
    "accounts/user",
    "accounts/organization",
    "accounts/membership",
    "accounts/invitation",
    "accounts/auditevent",
    "projects/project",
    "projects/apikey",
]


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(UserFactory(operator=True))
    return client


@pytest.mark.parametrize("name", LISTS)
def test_list_is_searchable_within_a_query_budget(
    operator: Client, name: str, django_assert_max_num_queries: Any
) -> None:
    for key in ApiKeyFactory.create_batch(12, project__organization__name="Findable"):
        MembershipFactory(organization=key.project.organization, user__name="Findable")
        InvitationFactory(organization=key.project.organization)
        AuditEventFactory(organization=key.project.organization)
    with django_assert_max_num_queries(12):
        response = operator.get(f"/admin/{name}/")
    assert response.status_code == 200
    assert operator.get(f"/admin/{name}/?q=Findable").context["cl"].result_count == 12


@pytest.mark.parametrize("name", LISTS)
def test_list_without_operator_denied(name: str) -> None:
    client = Client()
    assert client.get(f"/admin/{name}/").status_code == 302
    client.force_login(UserFactory())
    response = client.get(f"/admin/{name}/")
    assert response.status_code in (302, 403)
    assert response.status_code == 403 or "/admin/login/" in response["Location"]


def test_hashes_and_data_keys_are_never_shown(operator: Client) -> None:
    key = ApiKeyFactory()
    pages = [
        f"/admin/projects/apikey/{key.pk}/change/",
        "/admin/projects/apikey/",
        f"/admin/accounts/organization/{key.project.organization.pk}/change/",
    ]
    for url in pages:
        html = operator.get(url).content.decode()
        assert key.key_hash not in html
        assert bytes(key.project.organization.data_key).hex() not in html


def test_operator_revokes_a_leaked_key(operator: Client) -> None:
    key = ApiKeyFactory(raw=raw_key(1))
    operator.post(
        "/admin/projects/apikey/", {"action": "revoke", "_selected_action": [str(key.pk)]}
    )
    assert authenticate_key(raw_key(1), now=timezone.now()) is None
    assert AuditEvent.objects.get().action == "api_key.revoked"


def test_trail_and_keys_cannot_be_edited(operator: Client) -> None:
    event, key = AuditEventFactory(), ApiKeyFactory()
    for url in [
        "/admin/accounts/auditevent/add/",
        f"/admin/accounts/auditevent/{event.pk}/delete/",
        "/admin/projects/apikey/add/",
        f"/admin/projects/apikey/{key.pk}/delete/",
        f"/admin/projects/project/{key.project.pk}/delete/",
        "/admin/accounts/organization/add/",
    ]:
        assert operator.post(url, {"post": "yes"}).status_code == 403
    assert (
        operator.post(f"/admin/accounts/auditevent/{event.pk}/change/", {"action": "x"}).status_code
        == 403
    )
    assert (AuditEvent.objects.count(), ApiKey.objects.count()) == (1, 1)
    assert AuditEvent.objects.get().action == "project.created"


def test_operator_creates_and_switches_off_a_person(operator: Client) -> None:
    assert operator.get("/admin/accounts/user/add/").status_code == 200
    operator.post(
        "/admin/accounts/user/add/",
        {
            "email": "new@example.com",
            "name": "New",
            "password1": "a long enough one",
            "password2": "a long enough one",
            "memberships-TOTAL_FORMS": "0",
            "memberships-INITIAL_FORMS": "0",
        },
    )
    user = User.objects.get(email="new@example.com")
    assert user.check_password("a long enough one")
    assert operator.get(f"/admin/accounts/user/{user.pk}/change/").status_code == 200


def test_superuser_sees_no_foreign_project_outside_the_admin(
    operator: Client, acme: SimpleNamespace
) -> None:
    key = ApiKeyFactory(project__organization=acme.organization, project__slug="bot")
    assert operator.get("/projects/bot/settings/").status_code == 404
    assert operator.get(f"/api/v1/projects/{key.project.pk}").status_code == 404
