"""Keys in the settings: shown once, rotated with an overlap, revoked; no key does more than its
maker.
"""

import datetime as dt
import re
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEvent
from projects.authentication import authenticate_key, hash_key
from projects.models import ApiKey, Project
from tests.factories.projects import ApiKeyFactory, ProjectFactory, raw_key

pytestmark = pytest.mark.django_db
LIST = "/projects/bot/settings/api-keys/"
NEW = f"{LIST}new/"


@pytest.fixture(autouse=True)
def bot(acme: SimpleNamespace) -> Project:
    return ProjectFactory(organization=acme.organization, slug="bot", name="Bot")


def shown_key(response: Any) -> str:
    found = re.findall(r"llmlab_sk_[A-Za-z0-9_-]{43}", response.content.decode())
    assert len(found) == 1
    return str(found[0])


def test_member_creates_a_key_shown_once(acme: SimpleNamespace, client_of: Any) -> None:
    client = client_of(acme.member)
    data = {"name": "Support bot", "scopes": ["ingest", "read"], "expires_in": "30"}
    response = client.post(NEW, data)
    key = ApiKey.objects.get()
    assert response.status_code == 201
    assert "no-store" in response["Cache-Control"]
    raw = shown_key(response)
    assert (key.key_hash, key.prefix) == (hash_key(raw), raw[:18])
    assert (key.name, key.scopes) == ("Support bot", ["ingest", "read"])
    assert key.expires_at is not None
    days = (key.expires_at - timezone.now()).total_seconds() / 86400
    assert round(days, 2) == 30
    page = client.get(LIST).content.decode()
    assert raw not in page
    assert key.prefix in page
    event = AuditEvent.objects.get()
    assert (event.action, event.target) == ("api_key.created", f"Support bot ({key.prefix}…)")
    assert raw not in str(event.data)


@pytest.mark.parametrize(
    ("who", "data", "status"),
    [
        ("member", {"name": "x", "scopes": [], "expires_in": "never"}, 422),
        ("member", {"name": "x", "scopes": ["everything"], "expires_in": "never"}, 422),
        ("member", {"name": "", "scopes": ["read"], "expires_in": "never"}, 422),
        ("member", {"name": "x", "scopes": ["read"], "expires_in": "999"}, 422),
        ("member", {"name": "x", "scopes": ["read", "admin"], "expires_in": "never"}, 403),
        ("viewer", {"name": "x", "scopes": ["read"], "expires_in": "never"}, 403),
    ],
)
def test_creation_denied(
    acme: SimpleNamespace, client_of: Any, who: str, data: dict[str, Any], status: int
) -> None:
    assert client_of(getattr(acme, who)).post(NEW, data).status_code == status
    assert ApiKey.objects.count() == 0
    assert AuditEvent.objects.count() == 0


@pytest.mark.parametrize(
    ("overlap", "seconds"), [("now", 0), ("1h", 3600), ("24h", 86400), ("7d", 604800)]
)
def test_rotation_keeps_the_old_key_for_the_overlap(
    acme: SimpleNamespace, bot: Project, client_of: Any, overlap: str, seconds: int
) -> None:
    old = ApiKeyFactory(project=bot, raw=raw_key(1), scopes=["ingest"], name="Bot")
    before = timezone.now()
    response = client_of(acme.member).post(f"{LIST}{old.pk}/rotation/", {"overlap": overlap})
    assert response.status_code == 201
    new = ApiKey.objects.exclude(pk=old.pk).get()
    assert new.key_hash == hash_key(shown_key(response))
    assert (new.name, new.scopes, new.expires_at) == ("Bot", ["ingest"], None)
    old.refresh_from_db()
    assert old.rotated_to == new
    assert old.expires_at is not None
    assert 0 <= (old.expires_at - before).total_seconds() - seconds < 5
    ends = old.expires_at
    assert (authenticate_key(raw_key(1), now=ends - dt.timedelta(seconds=1)) is None) is False
    assert authenticate_key(raw_key(1), now=ends) is None


@pytest.mark.parametrize("traits", [{"revoked": True}, {"expired": True}])
def test_rotation_of_a_dead_key_denied(
    acme: SimpleNamespace, bot: Project, client_of: Any, traits: dict[str, Any]
) -> None:
    key = ApiKeyFactory(project=bot, **traits)
    response = client_of(acme.owner).post(f"{LIST}{key.pk}/rotation/", {"overlap": "1h"})
    assert response.status_code == 409
    assert ApiKey.objects.count() == 1


def test_second_rotation_of_a_key_denied(
    acme: SimpleNamespace, bot: Project, client_of: Any
) -> None:
    key = ApiKeyFactory(project=bot)
    client = client_of(acme.owner)
    client.post(f"{LIST}{key.pk}/rotation/", {"overlap": "24h"})
    assert client.post(f"{LIST}{key.pk}/rotation/", {"overlap": "24h"}).status_code == 409
    assert client.post(f"{LIST}{key.pk}/rotation/", {"overlap": "9y"}).status_code == 400
    assert ApiKey.objects.count() == 2


def test_revocation_is_effective_at_once(
    acme: SimpleNamespace, bot: Project, client_of: Any
) -> None:
    key = ApiKeyFactory(project=bot, raw=raw_key(1))
    assert authenticate_key(raw_key(1), now=timezone.now()) is not None
    response = client_of(acme.member).post(f"{LIST}{key.pk}/revocation/")
    assert response["Location"] == LIST
    assert authenticate_key(raw_key(1), now=timezone.now()) is None
    assert AuditEvent.objects.get().action == "api_key.revoked"


@pytest.mark.parametrize("act", ["rotation", "revocation"])
def test_touching_a_key_denied(
    acme: SimpleNamespace, globex: SimpleNamespace, bot: Project, client_of: Any, act: str
) -> None:
    powerful = ApiKeyFactory(project=bot, scopes=["admin"])
    plain = ApiKeyFactory(project=bot, raw=raw_key(1))
    foreign = ApiKeyFactory(project__organization=globex.organization, project__slug="theirs")
    data = {"overlap": "now"}
    cases = [
        (client_of(acme.member), f"{LIST}{powerful.pk}/{act}/", 403),
        (client_of(acme.viewer), f"{LIST}{plain.pk}/{act}/", 403),
        (client_of(globex.owner), f"{LIST}{plain.pk}/{act}/", 404),
        (client_of(acme.owner), f"{LIST}{foreign.pk}/{act}/", 404),
        (client_of(globex.owner), f"/projects/theirs/settings/api-keys/{plain.pk}/{act}/", 404),
        (Client(), f"{LIST}{plain.pk}/{act}/", 302),
    ]
    for client, url, status in cases:
        assert client.post(url, data).status_code == status, url
    assert ApiKey.objects.count() == 3
    assert ApiKey.objects.filter(revoked_at=None, expires_at=None).count() == 3
    assert AuditEvent.objects.count() == 0


def test_list_has_a_query_budget(
    acme: SimpleNamespace, bot: Project, client_of: Any, django_assert_max_num_queries: Any
) -> None:
    ApiKeyFactory.create_batch(25, project=bot, created_by=acme.owner.user)
    client = client_of(acme.owner)
    client.get(LIST)
    with django_assert_max_num_queries(6):
        client.get(LIST)
