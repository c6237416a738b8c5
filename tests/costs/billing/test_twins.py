"""A bill is read once: a second connection to its account is refused, by what the provider says or else the key."""

from typing import Any

import pytest
from django.utils import timezone

from core.errors import ConflictError
from costs.billing import connections as services
from costs.billing.access import DELETING, SEEN, Access, plugin_named
from costs.billing.twins import twin_of
from costs.providers.base import Checked
from projects.connections import open_credentials
from projects.models import ProviderConnection
from tests.costs.billing.conftest import KEY
from tests.costs.billing.test_google import key_file
from tests.factories.billing import ProviderConnectionFactory

pytestmark = pytest.mark.django_db


def connect(
    people: Any, access: dict[str, str], name: str, *, provider: str = "openai", **more: str
) -> ProviderConnection:
    return services.create_connection(
        organization=people.organization,
        provider=provider,
        name=name,
        values=access | more,
        actor=people.owner.user,
        now=timezone.now(),
    )


def test_a_second_key_of_the_same_organisation_is_refused(acme, globex, access) -> None:
    first = connect(acme, access, "Main")
    assert first.settings[SEEN]["account_name"] == "org-simulated"
    for key in (KEY, "sk-admin-ANOTHERKEYOFTHEM-0043"):
        with pytest.raises(ConflictError, match="Main reads this bill already"):
            connect(acme, access, "Again", admin_key=key)
    other = connect(acme, access, "Other", admin_key="sk-admin-other-0123456789")
    assert connect(globex, access, "Theirs").name == "Theirs"  # another tenant's books
    for values in ({"admin_key": KEY}, {"admin_key": "sk-admin-ANOTHERKEYOFTHEM-0043"}):
        with pytest.raises(ConflictError, match="reads this bill already"):
            services.change_access(
                connection=other, values=values, actor=acme.admin.user, now=timezone.now()
            )
    rotated = {"admin_key": "sk-admin-ANOTHERKEYOFTHEM-0043"}
    services.change_access(
        connection=first, values=rotated, actor=acme.admin.user, now=timezone.now()
    )
    assert ProviderConnection.objects.filter(organization=acme.organization).count() == 2


def access_to(provider: str, url: str) -> tuple[dict[str, str], dict[str, str]]:
    """What the simulated provider accepts, and what else leads to the same account."""
    if provider == "anthropic":
        return {"admin_key": "sk-ant-admin01-one-0123456789", "base_url": url}, {
            "admin_key": "sk-ant-admin01-two-0123456789"
        }
    if provider == "google":
        return {
            "service_account_json": key_file(url),
            "dataset": "billing",
            "base_url": url,
        }, {"dataset": "copies", "days": "utc"}
    azure = {"tenant_id": "t", "client_id": "app", "client_secret": "s3cret-of-the-app"}
    return azure | {"scope": "subscriptions/0000", "login_url": url, "base_url": url}, {
        "client_id": "another",
        "scope": "subscriptions/0000/resourceGroups/Lab/",
    }


@pytest.mark.parametrize("provider", ["anthropic", "azure", "google"])
def test_other_access_to_the_same_account_is_refused(acme, bills, provider) -> None:
    values, others = access_to(provider, bills.url)
    first = connect(acme, values, "Main", provider=provider)
    assert first.settings[SEEN]["account_id"]
    with pytest.raises(ConflictError, match="Main reads this bill already"):
        connect(acme, values | others, "Again", provider=provider)
    assert ProviderConnection.objects.count() == 1


def test_a_bill_that_is_being_deleted_is_waited_for(acme, access) -> None:
    connect(acme, access, "Main")
    ProviderConnection.objects.update(
        settings={DELETING: "1", SEEN: {"account_id": "org-simulated"}}
    )
    with pytest.raises(ConflictError, match="Main read this bill and is still being deleted"):
        connect(acme, access, "Again")


def test_a_provider_that_names_no_account_is_doubted(acme, bills) -> None:
    """Then only the same credentials tell, and the page and the API say so."""
    values, others = access_to("anthropic", bills.url)
    bills.faults(faults=[{"kind": "status", "status": 403, "path": "organizations/me", "times": 9}])
    first = connect(acme, values, "Main", provider="anthropic")
    assert "Anthropic does not say whose bill this is" in first.settings[SEEN]["warnings"][0]
    with pytest.raises(ConflictError, match="Main reads this bill already"):
        connect(acme, values, "Again", provider="anthropic")
    assert connect(acme, values | others, "Other", provider="anthropic").name == "Other"


def test_page_and_api_name_the_connection_there_is(acme, access, admin) -> None:
    connect(acme, access, "Main")
    other = connect(acme, access, "Other", admin_key="sk-admin-other-0123456789")
    form = {f"access_{name}": value for name, value in access.items()} | {"name": "Again"}
    billing = "organizations/acme/billing/connections"
    for page in ("new/?provider=openai", f"{other.pk}/access/"):
        answer = admin.post(f"/{billing}/{page}", form)
        assert answer.status_code == 422
        assert "Main reads this bill already" in answer.content.decode()
    body = {"provider": "openai", "name": "Again", "credentials": {"admin_key": KEY}}
    body["settings"] = {"base_url": access["base_url"]}
    answers = [
        admin.post(f"/api/v1/{billing}", body, "application/json"),
        admin.patch(
            f"/api/v1/{billing}/{other.pk}",
            {"credentials": body["credentials"]},
            "application/json",
        ),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        assert "Main reads this bill already" in answer.json()["detail"]
    other.refresh_from_db()
    assert open_credentials(other) == {"admin_key": "sk-admin-other-0123456789"}


def test_a_check_warns_where_two_were_connected_before(acme, access) -> None:
    first = connect(acme, access, "Main")
    ProviderConnection.objects.update(settings={"base_url": first.settings["base_url"]})
    second = connect(acme, access, "Other", admin_key="sk-admin-ANOTHERKEYOFTHEM-0043")
    found = services.check_again(connection=second, actor=acme.admin.user, now=timezone.now())
    assert found.warnings == ()
    services.check_again(connection=first, actor=acme.admin.user, now=timezone.now())
    first.refresh_from_db()
    assert "Other reads this bill already" in first.settings[SEEN]["warnings"][0]


AZURE = {"tenant_id": "t", "client_id": "c", "scope": "subscriptions/1"}


@pytest.mark.parametrize(
    ("here", "there", "is_twin"),
    [
        ("subscriptions/1", "subscriptions/1", True),
        ("subscriptions/1", "subscriptions/1/resourcegroups/a", True),
        ("subscriptions/1/resourcegroups/a", "subscriptions/1", True),
        ("subscriptions/1", "subscriptions/10", False),
        ("subscriptions/1/resourcegroups/a", "subscriptions/1/resourcegroups/b", False),
        # Nobody says: the same secret for the same scope is the same bill, another scope's is not.
        ("", "subscriptions/1", True),
        ("", "", True),
    ],
)
def test_scopes_within_each_other_are_one_bill(acme, here, there, is_twin) -> None:
    secret = {"client_secret": "s3cr3t-s3cr3t"}
    other = ProviderConnectionFactory(
        organization=acme.organization,
        provider="azure",
        credentials_in_clear=secret,
        settings=AZURE | {SEEN: {"account_id": there}},
    )
    asked = {
        "organization": acme.organization,
        "plugin": plugin_named("azure"),
        "found": Checked(account_id=here),
    }
    assert twin_of(access=Access(secret, AZURE), **asked) == (other if is_twin else None)
    assert twin_of(access=Access(secret, AZURE), besides=other.pk, **asked) is None
    elsewhere = Access(secret, AZURE | {"scope": "subscriptions/2"})
    assert (twin_of(access=elsewhere, **asked) is None) == (not here or not is_twin)


@pytest.mark.parametrize(
    ("here", "there", "is_twin"),
    [
        ((), (), True),
        ((), ("compute",), True),
        (("compute", "foundry models"), ("foundry models",), True),
        (("compute",), ("foundry models",), False),
    ],
)
def test_slices_of_one_scope_may_lie_side_by_side(acme, here, there, is_twin) -> None:
    whose = {"account_id": "subscriptions/1", "account_slices": list(there)}
    other = ProviderConnectionFactory(
        organization=acme.organization, provider="azure", settings=AZURE | {SEEN: whose}
    )
    found = Checked(account_id="subscriptions/1/resourcegroups/a", account_slices=here)
    twin = twin_of(
        organization=acme.organization,
        plugin=plugin_named("azure"),
        access=Access({}, AZURE),
        found=found,
    )
    assert twin == (other if is_twin else None)
