"""Profiles: what is stored where, which one is used, and where a key never goes."""

from __future__ import annotations

import io
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keyring
import pytest
from cli_server import Server, answer
from keyring.backend import KeyringBackend

KEY = "llmlab_sk_secret"
PROJECT = {
    "results": [{"id": "1", "slug": "shop", "name": "Shop", "organization": "acme"}],
    "next": None,
}


class Memory(KeyringBackend):
    """A keyring that works."""

    priority = 5  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def get_password(self, service: str, username: str) -> Any:
        return self.kept.get((service, username))

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


@pytest.fixture
def memory() -> Iterator[Memory]:
    before, made = keyring.get_keyring(), Memory()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


@pytest.fixture
def login(
    server: Server, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    server.routes["GET /api/v1/projects"] = answer(PROJECT)

    def call(*arguments: str, key: str = KEY) -> Any:
        monkeypatch.setattr(sys, "stdin", io.StringIO(key + "\n"))
        return cli(*arguments, "login", "--address", server.url, "--key-stdin")

    return call


def config(home: Path) -> Any:
    return json.loads((home / "config" / "config.json").read_text())


def test_without_a_keyring_the_key_is_in_a_private_file(
    login: Any, home: Path, server: Server
) -> None:
    code, out, _ = login()
    assert (code, out.split(". ")[0]) == (0, f"Logged in to {server.url}, project shop")
    assert config(home)["profiles"]["default"] == {
        "address": server.url,
        "project": "shop",
        "key": KEY,
    }
    file = home / "config" / "config.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert server.requests[0]["headers"]["authorization"] == f"Bearer {KEY}"
    assert KEY not in out


def test_with_a_keyring_the_file_has_no_key(
    login: Any, cli: Any, home: Path, memory: Memory, server: Server
) -> None:
    assert "the system's keyring" in login()[1]
    assert memory.kept == {("llmlab", f"default@{server.url}"): KEY}
    assert KEY not in (home / "config" / "config.json").read_text()
    assert cli("projects")[0] == 0
    assert server.requests[-1]["headers"]["authorization"] == f"Bearer {KEY}"
    assert cli("logout")[0] == 0
    assert memory.kept == {}
    assert config(home)["profiles"] == {}


def test_a_keyring_that_forgot_says_so(login: Any, cli: Any, memory: Memory) -> None:
    login()
    memory.kept.clear()
    code, _, err = cli("costs")
    assert code == 2
    assert "not in the keyring any more" in err


def test_a_wrong_key_is_not_stored(login: Any, home: Path, server: Server) -> None:
    server.routes["GET /api/v1/projects"] = answer({"detail": "no", "code": "invalid_api_key"}, 401)
    code, _, err = login()
    assert (code, err.count("\n")) == (2, 1)
    assert "does not know this key" in err
    assert not (home / "config").exists()


def test_a_key_is_never_an_argument(cli: Any) -> None:
    code, _, err = cli("login", "--key", KEY)
    assert code == 2
    assert KEY not in err


def test_an_open_file_is_closed_to_others(login: Any, cli: Any, home: Path) -> None:
    login()
    file = home / "config" / "config.json"
    os.chmod(file, 0o644)
    cli("projects")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_several_profiles(login: Any, cli: Any, home: Path) -> None:
    login()
    login("--profile", "prod", key="llmlab_sk_other")
    assert config(home)["current"] == "prod"
    _, out, _ = cli("projects", "--json")
    assert [(row["profile"], row["state"]) for row in json.loads(out)] == [
        ("default", "ok"),
        ("prod", "ok"),
    ]
    code, _, err = cli("--profile", "staging", "costs")
    assert (code, err) == (2, "llmlab: There is no profile 'staging'. There are: default, prod.\n")


def test_the_environment_goes_before_the_login_but_not_before_a_named_one(
    login: Any, cli: Any, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    login()
    monkeypatch.setenv("LLMLAB_API_KEY", "llmlab_sk_ci")
    monkeypatch.setenv("LLMLAB_BASE_URL", server.url)
    cli("traces", "list")
    assert server.requests[-1]["headers"]["authorization"] == "Bearer llmlab_sk_ci"
    cli("--profile", "default", "traces", "list")
    assert server.requests[-1]["headers"]["authorization"] == f"Bearer {KEY}"


def test_a_stored_key_never_goes_where_a_variable_points(
    login: Any, cli: Any, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    login()
    other = Server()
    monkeypatch.setenv("LLMLAB_BASE_URL", other.url)
    cli("traces", "list")
    assert other.requests == []
    assert server.requests[-1]["headers"]["authorization"] == f"Bearer {KEY}"
    other.close()


def test_a_redirect_does_not_carry_the_key_away(login: Any, server: Server, home: Path) -> None:
    other = Server()
    server.routes["GET /api/v1/projects"] = answer({}, 307, Location=f"{other.url}/api/v1/projects")
    code, _, err = login()
    assert code == 2
    assert f"redirects to {other.url}" in err
    assert other.requests == []
    other.close()


@pytest.mark.parametrize(
    "address", ["localhost:8000", "ftp://x", "http://", "http://u:p@host", "http://x?y=1"]
)
def test_an_address_that_is_none_is_named(cli: Any, address: str) -> None:
    code, _, err = cli("login", "--address", address, "--key-stdin")
    assert (code, err.count("\n")) == (2, 1)


def test_damaged_settings_say_what_to_do(cli: Any, home: Path) -> None:
    (home / "config").mkdir()
    (home / "config" / "config.json").write_text("{")
    code, _, err = cli("costs")
    assert code == 2
    assert "Mend or delete it" in err
