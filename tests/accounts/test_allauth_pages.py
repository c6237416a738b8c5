"""Every allauth page in our look, sign-up to reset, and who may sign up."""

import re
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEvent, Membership, Organization, Role, User
from tests.factories.accounts import PASSWORD, InvitationFactory, UserFactory

pytestmark = pytest.mark.django_db

OPEN_PAGES = [
    "account_login",
    "account_signup",
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key_done",
    "account_email_verification_sent",
    "account_inactive",
]
OWN_PAGES = ["account_logout", "account_email", "account_change_password", "account_reauthenticate"]


def assert_ours(response: Any) -> None:
    html = response.content.decode()
    assert response.status_code == 200
    assert 'class="brand"' in html
    assert html.count("<h1>") == 1
    assert "style=" not in html
    assert "<script>" not in html


@pytest.mark.parametrize("name", OPEN_PAGES)
def test_page_for_everyone_has_our_look(client: Client, name: str) -> None:
    assert_ours(client.get(reverse(name)))


@pytest.mark.parametrize("name", OWN_PAGES)
def test_page_of_an_account_has_our_look(client: Client, name: str) -> None:
    client.force_login(UserFactory())
    assert_ours(client.get(reverse(name)))


@pytest.mark.parametrize(
    "name", ["account_email", "account_change_password", "account_set_password"]
)
def test_page_of_an_account_without_login_denied(client: Client, name: str) -> None:
    response = client.get(reverse(name))
    assert response.status_code == 302
    assert response["Location"].startswith(reverse("account_login"))


def test_person_without_a_password_sets_one(client: Client) -> None:
    user = UserFactory(password=None)
    user.set_unusable_password()
    user.save()
    client.force_login(user)
    assert_ours(client.get(reverse("account_set_password")))


def sign_up(client: Client, email: str = "mina@example.com") -> Any:
    return client.post(
        reverse("account_signup"), {"email": email, "password1": "a long enough one"}
    )


def test_sign_up_makes_an_organization_of_ones_own(client: Client) -> None:
    response = sign_up(client)
    assert (response.status_code, response["Location"]) == (302, "/")
    user = User.objects.get()
    membership = Membership.objects.get()
    assert (user.email, membership.user, membership.role) == ("mina@example.com", user, Role.OWNER)
    assert (membership.organization.name, membership.organization.slug) == (
        "mina's team",
        "minas-team",
    )
    assert AuditEvent.objects.get().action == "organization.created"
    assert client.get("/")["Location"] == "/projects/new/"


def test_sign_up_sends_a_link_under_the_configured_address(client: Client, settings: Any) -> None:
    settings.LLMLAB_BASE_URL = "https://llmlab.acme.example"
    client.post(
        reverse("account_signup"),
        {"email": "mina@example.com", "password1": "a long enough one"},
        headers={"host": "evil.example"},
    )
    message = mail.outbox[0]
    assert message.subject == "Confirm your e-mail address"
    link = re.search(r"https?://\S+confirm-email\S+", message.body)
    assert link is not None
    assert link[0].startswith("https://llmlab.acme.example/accounts/confirm-email/")
    assert "evil.example" not in message.body
    path = link[0].removeprefix("https://llmlab.acme.example")
    assert_ours(client.get(path))
    client.post(path)
    assert EmailAddress.objects.get().verified is True


def test_dead_confirmation_link_says_so(client: Client) -> None:
    response = client.get(reverse("account_confirm_email", args=["nonsense"]))
    assert_ours(response)
    assert "no longer works" in response.content.decode()


@pytest.mark.parametrize("password", ["short", "12345678901234", "password123"])
def test_weak_password_denied(client: Client, password: str) -> None:
    response = client.post(
        reverse("account_signup"), {"email": "mina@example.com", "password1": password}
    )
    assert response.status_code == 200
    assert User.objects.count() == 0
    assert Organization.objects.count() == 0


def test_address_in_use_is_refused_where_sign_up_logs_in_at_once(client: Client) -> None:
    UserFactory(email="mina@example.com")
    response = sign_up(client, "Mina@example.com")
    assert "A user is already registered with this email address." in response.content.decode()
    assert User.objects.count() == 1


def test_address_in_use_is_not_revealed_where_mail_must_be_confirmed(
    client: Client, settings: Any
) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    user = UserFactory(email="mina@example.com")
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    response = sign_up(client)
    assert response["Location"] == reverse("account_email_verification_sent")
    assert User.objects.count() == 1
    assert mail.outbox[0].subject == "You have an LLMLab account already"
    assert "http://localhost:8000/accounts/password/reset/" in mail.outbox[0].body


def test_mandatory_confirmation_comes_before_login(client: Client, settings: Any) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    response = sign_up(client)
    assert response["Location"] == reverse("account_email_verification_sent")
    assert "_auth_user_id" not in client.session


def test_login_takes_any_case_and_goes_home(client: Client) -> None:
    UserFactory(email="mina@example.com")
    response = client.post(
        reverse("account_login"), {"login": "Mina@Example.com", "password": PASSWORD}
    )
    assert (response.status_code, response["Location"]) == (302, "/")


def test_wrong_password_denied(client: Client) -> None:
    UserFactory(email="mina@example.com")
    response = client.post(
        reverse("account_login"), {"login": "mina@example.com", "password": "wrong"}
    )
    assert response.status_code == 200
    assert "_auth_user_id" not in client.session


def test_login_does_not_redirect_to_other_sites(client: Client) -> None:
    UserFactory(email="mina@example.com")
    response = client.post(
        reverse("account_login") + "?next=https://evil.example/",
        {"login": "mina@example.com", "password": PASSWORD, "next": "https://evil.example/"},
    )
    assert response["Location"] == "/"


def test_password_reset_by_link(client: Client) -> None:
    user = UserFactory(email="mina@example.com")
    client.post(reverse("account_reset_password"), {"email": "mina@example.com"})
    link = re.search(
        r"http://localhost:8000(/accounts/password/reset/key/\S+)", mail.outbox[0].body
    )
    assert link is not None
    form_page = client.get(link[1])
    assert form_page.status_code == 302
    assert_ours(client.get(form_page["Location"]))
    client.post(
        form_page["Location"], {"password1": "a brand new one", "password2": "a brand new one"}
    )
    user.refresh_from_db()
    assert user.check_password("a brand new one")
    assert_ours(client.get(link[1]))  # used up: the page says so


def test_reset_of_an_unknown_address_looks_the_same(client: Client) -> None:
    response = client.post(reverse("account_reset_password"), {"email": "nobody@example.com"})
    assert response["Location"] == reverse("account_reset_password_done")
    assert mail.outbox[0].subject == "No LLMLab account with this address"


def test_password_change_logs_out(client: Client) -> None:
    user = UserFactory()
    client.force_login(user)
    client.post(
        reverse("account_change_password"),
        {"oldpassword": PASSWORD, "password1": "a brand new one", "password2": "a brand new one"},
    )
    user.refresh_from_db()
    assert user.check_password("a brand new one")
    assert "_auth_user_id" not in client.session


def test_logout_needs_a_post(client: Client) -> None:
    client.force_login(UserFactory())
    assert client.get(reverse("account_logout")).status_code == 200
    assert "_auth_user_id" in client.session
    client.post(reverse("account_logout"))
    assert "_auth_user_id" not in client.session


def test_closed_sign_up_denied(client: Client, settings: Any) -> None:
    settings.LLMLAB_OPEN_SIGNUP = False
    assert_ours(client.get(reverse("account_signup")))
    sign_up(client)
    assert User.objects.count() == 0


def test_invited_person_signs_up_though_sign_up_is_closed(client: Client, settings: Any) -> None:
    settings.LLMLAB_OPEN_SIGNUP = False
    invitation = InvitationFactory(token="abc", email="mina@example.com", role=Role.VIEWER)
    client.get("/invitations/abc/")
    assert "invited" in sign_up(client, "other@example.com").content.decode()
    assert User.objects.filter(email="other@example.com").count() == 0
    response = sign_up(client)
    assert response["Location"] == "/invitations/abc/"
    client.post("/invitations/abc/acceptance/")
    membership = Membership.objects.get()  # no organisation of their own
    assert (membership.organization, membership.role) == (invitation.organization, Role.VIEWER)


def test_invited_person_goes_on_after_login(client: Client) -> None:
    InvitationFactory(token="abc", email="mina@example.com")
    UserFactory(email="mina@example.com")
    client.get("/invitations/abc/")
    response = client.post(
        reverse("account_login"), {"login": "mina@example.com", "password": PASSWORD}
    )
    assert response["Location"] == "/invitations/abc/"


def test_admin_login_goes_through_allauth(client: Client) -> None:
    response = client.get("/admin/login/?next=/admin/")
    assert response.status_code == 302
    assert response["Location"].startswith(reverse("account_login"))
