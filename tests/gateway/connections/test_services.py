"""Connections and keys as rows: checked when given, sealed, never sent elsewhere, gone when they no longer count."""

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest

from accounts.models import AuditEvent
from core import crypto
from core.crypto import DecryptionError
from core.errors import ConflictError, DomainError
from gateway.connections import holding, services
from gateway.connections.secrets import open_key, seal_again
from gateway.models import ConfigVersion, Connection, ConnectionKey, KeyState
from tests.factories.gateway import ConnectionFactory, ConnectionKeyFactory
from tests.factories.projects import ProjectFactory

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
SECRET = "sk-proj-abcdefghijklmnop-1234"


def make(acme: SimpleNamespace, **what: Any) -> Connection:
    given: dict[str, Any] = {"kind": "openai", "name": "Main", "secret": SECRET, **what}
    return services.create_connection(
        organization=acme.organization, actor=acme.admin.user, now=NOW, **given
    )


def change(acme: SimpleNamespace, row: Connection, **what: Any) -> Connection:
    return services.change_connection(connection=row, actor=acme.admin.user, now=NOW, **what)


def opened(key: ConnectionKey) -> str:
    row = ConnectionKey.objects.select_related("connection__organization").get(pk=key.pk)
    cipher = crypto.data_cipher(row.connection.organization.data_key)
    return open_key(cipher, row.pk, row.sealed)


def version(acme: SimpleNamespace) -> int:
    return ConfigVersion.objects.get(pk=acme.organization.pk).version


def test_a_key_is_sealed_bound_to_its_row_and_in_no_log(acme: SimpleNamespace) -> None:
    row = make(acme, settings={"organization": "org-1", "project": ""}, model_names=["gpt-4o", "gpt-4o "])  # fmt: skip
    key = row.keys.get()
    assert opened(key) == SECRET
    assert SECRET.encode() not in bytes(key.sealed)
    assert key.hint == "sk-proj…1234"
    assert (row.settings, row.model_names) == ({"organization": "org-1"}, ["gpt-4o"])
    other = ConnectionKeyFactory.create(connection=row)
    ConnectionKey.objects.filter(pk=other.pk).update(sealed=key.sealed)
    with pytest.raises(DecryptionError):
        opened(other)
    assert SECRET not in str(list(AuditEvent.objects.values_list("data", flat=True)))
    assert version(acme) == 1


@pytest.mark.parametrize(
    ("what", "field"),
    [
        ({"kind": "telepathy"}, "kind"),
        ({"name": " "}, "name"),
        ({"secret": ""}, "secret"),
        ({"secret": "two words"}, "secret"),
        ({"secret": "line\nbreak"}, "secret"),
        ({"secret": "ключ"}, "secret"),
        ({"base_url": "http://127.0.0.1:8000/v1"}, "base_url"),
        ({"base_url": "https://169.254.169.254/v1"}, "base_url"),
        ({"base_url": "https://8.8.8.8/v1?key=1"}, "base_url"),
        ({"base_url": "ftp://8.8.8.8/"}, "base_url"),
        ({"kind": "compatible"}, "base_url"),
        ({"settings": {"api_version": "2024"}}, "api_version"),
        ({"settings": {"organization": "a\r\nx: y"}}, "organization"),
        ({"settings": {"organization": 7}}, "organization"),
        ({"kind": "compatible", "base_url": "https://8.8.8.8", "settings": {"responses": "yes"}}, "responses"),
        ({"model_names": ["a b"]}, "model_names"),
        ({"model_names": [7]}, "model_names"),
        ({"model_names": [f"m{n}" for n in range(501)]}, "model_names"),
        ({"weight": 0}, "weight"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(acme: SimpleNamespace, what: Any, field: str) -> None:
    with pytest.raises(DomainError) as told:
        make(acme, **what)
    assert told.value.fields == (field,)
    assert not Connection.objects.exists()


def test_another_organisations_project_is_no_project(acme: SimpleNamespace) -> None:
    mine, foreign = ProjectFactory.create(organization=acme.organization), ProjectFactory.create()
    with pytest.raises(DomainError, match="no such project"):
        make(acme, project_id=foreign.pk)
    row = make(acme, project_id=mine.pk)
    assert row.project == mine
    assert change(acme, row, project_id=None).project_id is None


@pytest.mark.parametrize(
    ("kind", "given", "kept"),
    [
        ("openai", "", ""),
        ("openai", "https://api.openai.com/v1/", ""),
        ("openai", "https://eu.api.openai.com", "https://eu.api.openai.com/v1"),
        ("compatible", "https://8.8.8.8/v1/chat/completions", "https://8.8.8.8/v1"),
        ("compatible", "https://openrouter.ai/api/v1", "https://openrouter.ai/api/v1"),
        ("anthropic", "https://api.anthropic.com/v1", ""),
        ("anthropic", "https://8.8.8.8/proxy/v1/messages", "https://8.8.8.8/proxy"),
        ("azure", "https://X.openai.azure.com/openai/v1/", "https://x.openai.azure.com"),
    ],
)
def test_an_address_is_kept_as_the_sdk_needs_it(
    acme: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, kind: str, given: str, kept: str
) -> None:
    monkeypatch.setattr("core.outbound.resolved", lambda _host, _port: ["8.8.8.8"])
    assert make(acme, kind=kind, base_url=given).base_url == kept


def test_names_are_taken_once_and_by_case_alike(
    acme: SimpleNamespace, globex: SimpleNamespace
) -> None:
    make(acme)
    with pytest.raises(ConflictError):
        make(acme, name="MAIN", secret="sk-other")
    make(SimpleNamespace(organization=globex.organization, admin=globex.owner))
    other = make(acme, name="Other")
    with pytest.raises(ConflictError):
        change(acme, other, name="main")


def test_a_stored_key_is_never_sent_to_another_host(acme: SimpleNamespace) -> None:
    row = make(acme, kind="compatible", base_url="https://8.8.8.8/v1")
    key = row.keys.get()
    change(acme, row, base_url="https://8.8.8.8/other/v1")
    assert opened(key) == SECRET
    for address in ("https://8.8.4.4/v1", "https://8.8.8.8:444/v1"):
        with pytest.raises(DomainError) as told:
            change(acme, row, base_url=address)
        assert told.value.fields == ("secret",)
    change(acme, row, base_url="https://8.8.4.4/v1", secret="sk-there-0000000000000")
    key.refresh_from_db()
    assert (key.state, bytes(key.sealed)) == (KeyState.REVOKED, b"")
    assert opened(row.keys.get(state=KeyState.ACTIVE)) == "sk-there-0000000000000"
    with pytest.raises(DomainError, match="add or rotate"):
        change(acme, row, secret="sk-third")


def test_a_server_without_a_key_may_move(acme: SimpleNamespace) -> None:
    row = make(acme, kind="compatible", base_url="https://8.8.8.8/v1", secret="")
    assert change(acme, row, base_url="https://8.8.4.4/v1").base_url == "https://8.8.4.4/v1"
    assert not row.keys.exists()


def test_changes_are_recorded_and_seen_and_no_change_is_none(acme: SimpleNamespace) -> None:
    row = make(acme)
    change(acme, row, name="Main", settings={})
    assert version(acme) == 1
    change(acme, row, name="Prod", model_names=["gpt-4o"])
    services.switch_connection(connection=row, is_enabled=False, actor=acme.admin.user, now=NOW)
    services.switch_connection(connection=row, is_enabled=False, actor=acme.admin.user, now=NOW)
    services.delete_connection(connection=row, actor=acme.admin.user)
    assert version(acme) == 4
    told = list(AuditEvent.objects.order_by("pk").values_list("action", flat=True))
    assert told == [
        f"gateway.connection.{one}" for one in ("created", "changed", "disabled", "deleted")
    ]


def test_rotation_overlaps_then_the_old_key_is_gone(acme: SimpleNamespace) -> None:
    row, admin = make(acme, weight=7), acme.admin.user
    old = row.keys.get()
    with pytest.raises(ConflictError, match="there already"):
        holding.rotate_key(key=old, secret=SECRET, overlap="1h", actor=admin, now=NOW)
    with pytest.raises(DomainError, match="overlap is '2d'"):
        holding.rotate_key(key=old, secret="sk-new", overlap="2d", actor=admin, now=NOW)
    new = holding.rotate_key(key=old, secret="sk-new", overlap="1h", actor=admin, now=NOW)
    old.refresh_from_db()
    assert (new.weight, old.state, old.retires_at) == (7, "retiring", NOW + dt.timedelta(hours=1))
    assert holding.retire_due(now=NOW + dt.timedelta(minutes=59)) == 0
    assert holding.retire_due(now=NOW + dt.timedelta(hours=1)) == 1
    old.refresh_from_db()
    assert (old.state, bytes(old.sealed)) == ("revoked", b"")
    holding.rotate_key(key=new, secret="sk-newest", overlap="now", actor=admin, now=NOW)
    new.refresh_from_db()
    assert (new.state, bytes(new.sealed)) == ("revoked", b"")
    with pytest.raises(ConflictError, match="not active"):
        holding.weigh_key(key=new, weight=2, actor=admin, now=NOW)
    assert version(acme) == 4


def test_keys_are_added_weighed_and_revoked(acme: SimpleNamespace) -> None:
    row, admin = make(acme), acme.admin.user
    two = holding.add_key(connection=row, secret="sk-two", weight=3, actor=admin, now=NOW)
    holding.weigh_key(key=two, weight=9, actor=admin, now=NOW)
    for weight in (0, 101, True):
        with pytest.raises(DomainError, match="whole number from 1 to 100"):
            holding.weigh_key(key=two, weight=weight, actor=admin, now=NOW)
    holding.revoke_key(key=two, actor=admin, now=NOW)
    holding.revoke_key(key=two, actor=admin, now=NOW)
    assert version(acme) == 4
    assert [one.weight for one in row.keys.filter(state="active")] == [1]
    ConnectionKeyFactory.create_batch(19, connection=row)
    with pytest.raises(ConflictError, match="at most 20 keys"):
        holding.add_key(connection=row, secret="sk-more", actor=admin, now=NOW)


def test_keys_follow_the_organisations_data_key(acme: SimpleNamespace) -> None:
    row = make(acme)
    key, organization = row.keys.get(), acme.organization
    organization.data_key = crypto.with_new_key(organization.data_key)
    seal_again(organization)
    organization.data_key = crypto.newest_only(organization.data_key)
    organization.save()
    assert opened(key) == SECRET
    assert version(acme) == 2


def test_there_is_a_most(acme: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MAX_CONNECTIONS", 2)
    ConnectionFactory.create_batch(2, organization=acme.organization)
    with pytest.raises(ConflictError, match="at most 2"):
        make(acme)
