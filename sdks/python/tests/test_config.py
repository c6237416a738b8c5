"""Settings: argument, environment, default; bad values are told once and never raised."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from door import Door, Reply

from llmlab import LLMLab, current_client, span
from llmlab.config import Settings, logger


def test_defaults_are_the_contracts() -> None:
    settings = Settings()
    assert {name: getattr(settings, name) for name in Settings.__slots__} == {
        "api_key": "",
        "project": "",
        "base_url": "http://localhost:8000",
        "environment": "",
        "release": "",
        "enabled": True,
        "capture_content": True,
        "mask": (),
        "sample_rate": 1.0,
        "flush_at": 100,
        "flush_interval": 5,
        "live_interval": 1,
        "max_queue_bytes": 33_554_432,
        "spool_dir": "",
        "timeout": 10,
        "drain_seconds": 5,
        "stream_usage": True,
        "server_budgets": False,
        "debug": False,
    }


def test_the_environment_counts_and_arguments_win(monkeypatch: pytest.MonkeyPatch) -> None:
    env = {
        "API_KEY": "k", "PROJECT": "p", "BASE_URL": "https://llmlab.example/x/", "ENABLED": "no",
        "CAPTURE_CONTENT": "0", "MASK": "email, phone", "SAMPLE_RATE": "0.25", "FLUSH_AT": "7",
        "FLUSH_INTERVAL": "0.5", "LIVE_INTERVAL": "0", "MAX_QUEUE_BYTES": "100000", "RELEASE": "r",
        "SPOOL_DIR": "var/spool", "TIMEOUT": "3", "DRAIN_SECONDS": "1", "STREAM_USAGE": "false",
        "ENVIRONMENT": "prod",
    }  # fmt: skip
    for name, value in env.items():
        monkeypatch.setenv(f"LLMLAB_{name}", value)
    settings = Settings(project="mine", flush_at=9)
    assert (settings.project, settings.flush_at, settings.api_key) == ("mine", 9, "k")
    assert settings.base_url == "https://llmlab.example/x"
    assert (settings.enabled, settings.capture_content, settings.stream_usage) == (False,) * 3
    assert settings.mask == ("email", "phone")
    assert (settings.sample_rate, settings.flush_interval, settings.live_interval) == (0.25, 0.5, 0)
    assert (settings.max_queue_bytes, settings.timeout, settings.drain_seconds) == (100_000, 3, 1)
    assert (settings.environment, settings.release, settings.spool_dir) == (
        "prod",
        "r",
        "var/spool",
    )


@pytest.mark.parametrize(
    ("name", "value", "used"),
    [
        ("sample_rate", "half", 1.0),
        ("sample_rate", 1.5, 1.0),
        ("sample_rate", float("nan"), 1.0),
        ("flush_at", 0, 100),
        ("flush_interval", object(), 5),
        ("enabled", "perhaps", True),
        ("base_url", "llmlab.example", "http://localhost:8000"),
        ("project", 7, ""),
        ("mask", 7, ()),
        ("timeout", 10**400, 10),
    ],
    ids=repr,
)
def test_bad_values_are_told_and_the_default_used(
    name: str, value: Any, used: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert getattr(Settings(**{name: value}), name) == used
    assert caplog.text.count(f"{name} is") == 1


def test_a_bad_key_is_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    Settings(api_key=["llmlab_sk_secret"])
    assert "api_key is" in caplog.text
    assert "secret" not in caplog.text


def test_an_unknown_setting_is_told(caplog: pytest.LogCaptureFixture) -> None:
    LLMLab("k", "p", flush_intervall=1).shutdown()
    assert "there is no setting flush_intervall" in caplog.text


def test_the_environment_alone_is_enough(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"API_KEY": " k\n", "PROJECT": "my shop", "BASE_URL": door.url}.items():
        monkeypatch.setenv(f"LLMLAB_{name}", value)
    with span("a"):
        pass
    client = current_client()
    assert client.flush()
    assert door.requests[0]["path"] == "/api/v1/projects/my%20shop/traces"
    assert door.requests[0]["headers"]["authorization"] == "Bearer k"
    client.shutdown()


def test_a_proxy_of_the_environment_is_used(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", door.url.replace("//", "//user:secret@"))
    llm = LLMLab("k", "p", base_url="http://llmlab.test")
    with span("a"):
        pass
    assert llm.flush()
    request = door.requests[0]
    assert request["path"] == "http://llmlab.test/api/v1/projects/p/traces"
    assert request["headers"]["host"] == "llmlab.test"
    assert request["headers"]["proxy-authorization"] == "Basic dXNlcjpzZWNyZXQ="
    llm.shutdown()


@pytest.mark.parametrize("address", ["http://", "http://[half", "http://x:port", "http://a b"])
def test_an_address_that_is_none_is_told(address: str, caplog: pytest.LogCaptureFixture) -> None:
    llm = LLMLab("k", "p", base_url=address, timeout=0.2)
    with span("a"):
        pass
    assert not llm.flush(0.3)
    assert llm.stats()["waiting"] == 1
    assert caplog.text.count("cannot be reached") == 1
    llm.shutdown(0)


def test_a_redirect_is_told_and_not_followed(
    door: Door, llm: LLMLab, caplog: pytest.LogCaptureFixture
) -> None:
    door.replies = [Reply(308, {"Location": "https://llmlab.example/"})]
    with span("a"):
        pass
    assert llm.flush()
    assert "redirects to https://llmlab.example/" in caplog.text
    assert door.step("a")["status"] == "ok"


@pytest.fixture
def _quiet_again() -> Iterator[None]:
    yield
    logger.setLevel(logging.NOTSET)
    logger.handlers.clear()


@pytest.mark.usefixtures("_quiet_again")
def test_debug_shows_each_request(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    llm = LLMLab("k", "p", base_url=door.url, debug=True)
    with span("a"):
        pass
    assert llm.flush()
    llm.shutdown()
    assert "DEBUG LLMLab: sent 1 entries" in capsys.readouterr().err
