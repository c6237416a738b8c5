"""`llmlab doctor`: each fault has its line and what to do about it."""

from __future__ import annotations

import datetime as dt
import fcntl
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_server import Server, answer

PROJECTS = "GET /api/v1/projects"
KEYS = "GET /api/v1/projects/shop/keys"
FOUND = answer({"results": [{"slug": "shop"}], "next": None})
MISSING = answer({"detail": "The key lacks the scope.", "code": "missing_scope"}, 403)


def health(version: str = "0.2.0", off: float = 0) -> Any:
    now = dt.datetime.now(dt.timezone.utc) + dt.timedelta(seconds=off)
    return answer(
        {"status": "ok", "service": "llmlab", "version": version, "time": now.isoformat()}
    )


@pytest.fixture
def lines(cli: Callable[..., Any], logged_in: Server) -> Callable[..., dict[str, Any]]:
    logged_in.routes |= {PROJECTS: FOUND, KEYS: MISSING, "GET /healthz": health()}

    def call(*arguments: str, code: int = 1) -> dict[str, Any]:
        found, out, err = cli("doctor", "--json", *arguments)
        assert (found, err) == (code, "")
        return {line["name"]: line for line in json.loads(out)}

    return call


def test_scopes_are_found_by_trying_where_they_cannot_be_read(
    lines: Any, logged_in: Server
) -> None:
    found = lines()
    assert found["key"]["found"] == "valid for project shop; scopes: ingest, read"
    assert logged_in.stored == {}
    assert found["websocket"]["state"] == "fail"  # this small server has none


def test_a_key_that_may_only_send_is_told_what_it_cannot_do(lines: Any, logged_in: Server) -> None:
    logged_in.routes[PROJECTS] = MISSING
    found = lines(code=0)
    assert (found["key"]["state"], found["key"]["todo"]) == (
        "warn",
        "Without read it cannot list, tail or export.",
    )
    assert "websocket" not in found


def test_a_key_that_ends_soon(lines: Any, logged_in: Server) -> None:
    ends = (dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=3)).isoformat()
    row = {
        "prefix": "llmlab_sk_t",
        "scopes": ["ingest", "read", "admin"],
        "revoked_at": None,
        "expires_at": ends,
    }
    logged_in.routes[KEYS] = answer({"results": [row], "next": None})
    assert lines()["key"]["todo"] == "llmlab keys rotate makes its successor."


@pytest.mark.parametrize(
    ("off", "state", "words"),
    [(0, "ok", "agree"), (-60, "warn", "ahead of"), (86_400, "fail", "behind")],
)
def test_clocks_are_compared(
    off: float, state: str, words: str, lines: Any, logged_in: Server
) -> None:
    logged_in.routes["GET /healthz"] = health(off=off)
    clock = lines()["clock"]
    assert clock["state"] == state
    assert words in clock["found"]


@pytest.mark.parametrize(
    ("version", "words"), [("0.1.9", "upgrade the server"), ("9.0.0", "pip install")]
)
def test_versions_that_do_not_go_together(
    version: str, words: str, lines: Any, logged_in: Server
) -> None:
    logged_in.routes["GET /healthz"] = health(version)
    assert words in lines()["versions"]["todo"]


def test_another_service_at_the_address(lines: Any, logged_in: Server) -> None:
    logged_in.routes["GET /healthz"] = answer(b"<html>", 200)
    assert list(lines()) == ["login", "address"]


def test_nobody_at_the_address(
    lines: Any, logged_in: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMLAB_BASE_URL", "http://127.0.0.1:9")
    assert lines()["address"]["state"] == "fail"


def test_a_spool_with_leftovers(lines: Any, tmp_path: Path) -> None:
    """The file of a program that runs is locked by it."""
    (tmp_path / "1-a.jsonl").write_text("{}\n")
    with (tmp_path / "2-b.jsonl").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        spool = lines("--spool-dir", str(tmp_path))["spool"]
    assert (spool["state"], spool["found"]) == (
        "warn",
        f"{tmp_path} holds 1 files, 3 bytes of programs that ended",
    )
    assert lines("--spool-dir", str(tmp_path / "none"))["spool"]["state"] == "warn"
