"""From a raw key to its owner: one query, no cache, and nothing odd in a header breaks it."""

import base64
import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from projects import services
from projects.authentication import authenticate_key, hash_key, key_from_request
from projects.models import ApiKey
from tests.factories.projects import ApiKeyFactory, ProjectFactory, raw_key

NOW = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Authorization": "Bearer llmlab_sk_abc"}, "llmlab_sk_abc"),
        ({"Authorization": "bearer   llmlab_sk_abc "}, "llmlab_sk_abc"),
        ({"Authorization": basic("llmlab_sk_abc:")}, "llmlab_sk_abc"),
        ({"Authorization": basic("llmlab_sk_abc:anything")}, "llmlab_sk_abc"),
        ({"Authorization": basic("anything:llmlab_sk_abc")}, "llmlab_sk_abc"),
        ({"Authorization": basic("anything:operators-own-key")}, "operators-own-key"),
        ({"x-api-key": "llmlab_sk_abc"}, "llmlab_sk_abc"),
        ({"x-api-key": ""}, None),
        ({}, None),
        ({"Authorization": "Bearer "}, None),
        ({"Authorization": "llmlab_sk_abc"}, "llmlab_sk_abc"),
        ({"Authorization": "something-else"}, None),
        ({"Authorization": "Basic !!!"}, None),
        ({"Authorization": "Basic " + base64.b64encode(b"\xff\xfe").decode()}, None),
        ({"Authorization": "Bearer " + "x" * 1_000_000}, None),
        ({"x-api-key": "x" * 2000}, None),
        ({"Authorization": "Digest abc"}, None),
    ],
)
def test_key_is_found_in_every_spelling(
    rf: Any, headers: dict[str, str], expected: str | None
) -> None:
    assert key_from_request(rf.get("/", headers=headers)) == expected


@pytest.mark.django_db
def test_valid_key_tells_whose_it_is(django_assert_num_queries: Any) -> None:
    key = ApiKeyFactory(raw=raw_key(1), scopes=["ingest"], last_used_at=NOW)
    with django_assert_num_queries(1):
        auth = authenticate_key(raw_key(1), now=NOW)
    assert auth is not None
    assert auth.key_id == key.pk
    assert (auth.project_id, auth.project_slug, auth.project_status) == (
        key.project.pk,
        key.project.slug,
        "active",
    )
    assert auth.organization_id == key.project.organization_id
    assert (auth.scopes, auth.is_archived) == (frozenset({"ingest"}), False)
    assert auth.data_key == bytes(key.project.organization.data_key)
    assert auth.names_project(key.project.slug)
    assert auth.names_project(str(key.project.pk).upper())
    assert not auth.names_project("other")
    assert "data_key" not in repr(auth)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "traits",
    [{"revoked": True}, {"expired": True}, {"project__deleting": True}, {"raw": raw_key(2)}],
)
def test_unusable_key_denied(traits: dict[str, Any]) -> None:
    ApiKeyFactory(**{"raw": raw_key(1), **traits})
    assert authenticate_key(raw_key(1), now=timezone.now()) is None
    assert ApiKey.objects.get().last_used_at is None


@pytest.mark.django_db
@pytest.mark.parametrize("raw", ["", "\x00", "\ud800", "' OR 1=1--", "é" * 300])
def test_odd_key_denied(raw: str) -> None:
    assert authenticate_key(raw, now=NOW) is None


@pytest.mark.django_db
def test_key_of_an_archived_project_still_reads() -> None:
    ApiKeyFactory(raw=raw_key(1), project__archived=True)
    auth = authenticate_key(raw_key(1), now=NOW)
    assert auth is not None
    assert auth.is_archived


@pytest.mark.django_db
def test_last_use_is_noted_once_a_minute(django_assert_num_queries: Any) -> None:
    key = ApiKeyFactory(raw=raw_key(1))
    authenticate_key(raw_key(1), now=NOW)
    with django_assert_num_queries(1):  # within the minute: no write
        authenticate_key(raw_key(1), now=NOW + dt.timedelta(seconds=59))
    key.refresh_from_db()
    assert key.last_used_at == NOW
    later = NOW + dt.timedelta(seconds=61)
    authenticate_key(raw_key(1), now=later)
    key.refresh_from_db()
    assert key.last_used_at == later


@pytest.mark.django_db
def test_expiry_and_revocation_count_at_once() -> None:
    key = ApiKeyFactory(raw=raw_key(1), expires_at=NOW)
    assert authenticate_key(raw_key(1), now=NOW - dt.timedelta(microseconds=1)) is not None
    assert authenticate_key(raw_key(1), now=NOW) is None
    ApiKey.objects.update(expires_at=None)
    assert authenticate_key(raw_key(1), now=NOW) is not None
    services.revoke_api_key(project=key.project, key=key, now=NOW)
    assert authenticate_key(raw_key(1), now=NOW) is None


@pytest.mark.django_db
def test_created_key_is_random_and_only_its_hash_is_kept() -> None:
    project = ProjectFactory()
    key, raw = services.create_api_key(
        project=project, name="Bot", scopes=["read", "ingest", "read"]
    )
    _, other = services.create_api_key(project=project, name="Bot", scopes=["read"])
    assert (len(raw), raw[:10], raw[:18]) == (53, "llmlab_sk_", key.prefix)
    assert raw != other
    assert key.key_hash == hash_key(raw)
    assert key.scopes == ["ingest", "read"]
    stored = ApiKey.objects.filter(pk=key.pk).values().get()
    assert raw not in str(stored)
