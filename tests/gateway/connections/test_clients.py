"""SDK clients carry the connection's own key and settings, to its own address, and nothing else."""

import asyncio
import datetime as dt
import json
from typing import Any
from uuid import UUID

import httpx2
import pytest
from django.test import override_settings

from core import crypto
from gateway.connections import secrets
from gateway.connections.clients import Clients, NoKeyError
from gateway.connections.keys import is_keyless, pick_key
from gateway.connections.providers import path_of, serves
from gateway.snapshot import ConnectionView, KeyView
from gateway.structs import Dialect
from tests.fakes.http_server import FakeServer, Received, running_server

KEY_ID = UUID("0190f3d4-0000-7000-8000-000000000001")
CIPHER = crypto.AESGCM(b"k" * 32)
NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
LEAKS = {
    "OPENAI_API_KEY": "sk-operator", "OPENAI_ADMIN_KEY": "sk-operator", "OPENAI_ORG_ID": "operator",
    "OPENAI_PROJECT_ID": "operator", "OPENAI_CUSTOM_HEADERS": "x-operator: operator",
    "OPENAI_BASE_URL": "http://127.0.0.1:9", "AZURE_OPENAI_API_KEY": "operator", "AZURE_OPENAI_AD_TOKEN": "operator",
    "OPENAI_API_VERSION": "operator", "ANTHROPIC_API_KEY": "operator", "ANTHROPIC_AUTH_TOKEN": "operator",
    "ANTHROPIC_CUSTOM_HEADERS": "x-operator: operator", "ANTHROPIC_BASE_URL": "http://127.0.0.1:9",
}  # fmt: skip


def key(secret: str = "sk-tenant", *, name: str = "", **fields: Any) -> KeyView:  # noqa: S107
    sealed = crypto.seal(CIPHER, secret.encode(), secrets.context(KEY_ID))
    values = {"hint": "sk-…", "weight": 1, "retires_at": None, **fields}
    return KeyView(name or KEY_ID.hex, sealed, **values)


def view(
    kind: str, address: str = "", keys: tuple[KeyView, ...] = (), **settings: Any
) -> ConnectionView:
    return ConnectionView("c1", "Mine", kind, address, settings, (), keys)


def sent(fake: FakeServer, one: ConnectionView, dialect: Dialect = Dialect.CHAT) -> Received:
    """What arrives at the provider for one call through the connection."""

    async def call() -> None:
        async with Clients() as clients:
            client = clients.get(one, one.keys[0] if one.keys else None, CIPHER)
            response = await client.post(
                path_of(one, dialect, "my model"), cast_to=httpx2.Response, body={"model": "m"}
            )
            assert response.json() == {"id": "1"}

    with override_settings(LLMLAB_OUTBOUND_ALLOW=[fake.url.removeprefix("http://")]):
        asyncio.run(call())
    return fake.received[-1]


@pytest.mark.parametrize(
    ("kind", "base", "settings", "dialect", "path", "auth"),
    [
        ("openai", "/v1", {"organization": "org-t"}, Dialect.CHAT, "/v1/chat/completions", "authorization"),
        ("openai", "/v1", {}, Dialect.RESPONSES, "/v1/responses", "authorization"),
        ("gemini", "/v1beta/openai", {}, Dialect.EMBEDDINGS, "/v1beta/openai/embeddings", "authorization"),
        ("compatible", "/v1", {}, Dialect.CHAT, "/v1/chat/completions", "authorization"),
        ("anthropic", "", {}, Dialect.MESSAGES, "/v1/messages", "authorization"),
        ("azure", "", {}, Dialect.CHAT, "/openai/v1/chat/completions", "api-key"),
        ("azure", "", {"api_version": "2024-10-21"}, Dialect.CHAT,
         "/openai/deployments/my model/chat/completions", "api-key"),
        ("azure", "", {"api_version": "2024-10-21"}, Dialect.RESPONSES, "/openai/responses", "api-key"),
    ],
)  # fmt: skip
def test_only_the_connections_own_words_arrive(
    monkeypatch: pytest.MonkeyPatch, kind: str, base: str, settings: Any, dialect: Dialect, path: str, auth: str
) -> None:  # fmt: skip
    for name, value in LEAKS.items():
        monkeypatch.setenv(name, value)
    with running_server(lambda _request, _number: (200, {}, b'{"id": "1"}')) as fake:
        got = sent(fake, view(kind, fake.url + base, (key(),), **settings), dialect)
    assert got.path == path
    assert json.loads(got.body) == {"model": "m"}
    other = {"authorization", "api-key", "x-api-key"} - {auth}
    assert got.headers[auth].removeprefix("Bearer ") == "sk-tenant"
    assert not other & set(got.headers)
    assert got.headers.get("openai-organization") == settings.get("organization")
    assert "operator" not in json.dumps(got.headers)


def test_a_server_without_a_key_gets_none_not_even_the_operators(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in LEAKS.items():
        monkeypatch.setenv(name, value)
    with running_server(lambda _request, _number: (200, {}, b'{"id": "1"}')) as fake:
        got = sent(fake, view("compatible", f"{fake.url}/v1"))
    assert not {"authorization", "api-key", "x-api-key"} & set(got.headers)
    assert "operator" not in json.dumps(got.headers)


def test_a_connection_that_needs_a_key_is_not_called_without_one() -> None:
    async def call() -> None:
        async with Clients() as clients:
            for one in (view("openai"), view("compatible", "https://x.example/v1", (key(),))):
                with pytest.raises(NoKeyError):
                    clients.get(one, None, CIPHER)

    asyncio.run(call())
    assert is_keyless(view("compatible"))


def test_clients_are_kept_until_something_changes_or_there_are_too_many() -> None:
    async def call() -> None:
        async with Clients(limit=2) as clients:
            one = view("openai", keys=(key(),))
            first = clients.get(one, one.keys[0], CIPHER)
            again = view("openai", keys=one.keys)  # another snapshot
            assert clients.get(again, again.keys[0], CIPHER) is first
            moved = view("openai", "https://eu.api.openai.com/v1", one.keys)
            second = clients.get(moved, moved.keys[0], CIPHER)
            assert second is not first
            rotated = view("openai", "https://eu.api.openai.com/v1", (key("sk-new"),))
            third = clients.get(rotated, rotated.keys[0], CIPHER)
            assert third.api_key == "sk-new"
            for name in ("a", "b"):
                other = ConnectionView(name, name, "openai", "", {}, (), one.keys)
                clients.get(other, other.keys[0], CIPHER)
            await asyncio.sleep(0)
            assert (
                first.is_closed() is False
            )  # SDK and client are ours no more; its transport is closed
            assert clients.get(rotated, rotated.keys[0], CIPHER) is not third

    asyncio.run(call())


def test_keys_share_by_weight_and_a_replaced_one_stands_in() -> None:
    heavy, light = key(name="heavy", weight=3), key(name="light", weight=1)
    old = key(name="old", retires_at=NOW + dt.timedelta(hours=1))
    gone = key(name="gone", retires_at=NOW)
    one = view("openai", keys=(old, gone, heavy, light))

    def drawn(draw: float, *without: str) -> str | None:
        found = pick_key(one, now=NOW, exclude=without, draw=draw)
        return found.id if found else None

    assert [drawn(draw) for draw in (0, 0.74, 0.76, 0.999)] == ["heavy", "heavy", "light", "light"]
    assert drawn(0.1, "heavy") == "light"
    assert drawn(0.1, "heavy", "light") == "old"
    assert drawn(0.1, "heavy", "light", "old") is None


def test_what_a_connection_serves() -> None:
    assert serves(view("openai"), "gpt-99-future")
    assert serves(view("anthropic"), "claude-opus-5-5")
    assert serves(view("gemini"), "gemini-2.5-flash")
    assert not serves(view("openai"), "claude-opus-5-5")
    assert not serves(view("compatible"), "gpt-4o")
    named = ConnectionView("c", "c", "compatible", "", {}, ("llama3",), ())
    assert serves(named, "llama3")
    assert not serves(named, "llama4")
