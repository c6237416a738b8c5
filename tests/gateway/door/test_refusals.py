"""What the door says no to, in the words of the dialect that asks."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from django.conf import settings
from django.utils import timezone
from redis import Redis

from gateway.models import GatewaySettings, LLMRequest
from projects.models import ApiKey, Project
from tests.factories.gateway import LimitFactory
from tests.factories.projects import ApiKeyFactory
from tests.functional.server import Server
from tests.gateway.door.conftest import make_key, until

CHAT = {"model": "gpt-5.4-mini", "messages": [{"role": "user", "content": "Hi"}]}
MESSAGE = {"model": "claude-opus-4-5", "max_tokens": 9, "messages": CHAT["messages"]}


def error(answer: httpx2.Response) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()["error"]
    assert answer.headers["x-llmlab-request-id"]
    return found


@pytest.mark.parametrize("sent", ["", "Bearer llmlab_sk_unknown", "Bearer sk-openai", "Basic x"])
def test_unknown_key_is_401(http: httpx2.Client, sent: str) -> None:
    answer = http.post("/v1/chat/completions", json=CHAT, headers={"authorization": sent})

    assert answer.status_code == 401
    assert error(answer) | {"message": "", "request_id": ""} == {
        "message": "", "type": "authentication_error", "param": None, "code": "invalid_api_key",
        "request_id": "",
    }  # fmt: skip


def test_anthropics_clients_read_anthropics_errors(http: httpx2.Client) -> None:
    answer = http.post(
        "/v1/messages", json=MESSAGE, headers={"authorization": "", "x-api-key": "x"}
    )

    assert answer.status_code == 401
    assert answer.json()["type"] == "error"
    assert error(answer)["type"] == "authentication_error"
    assert answer.json()["request_id"] == answer.headers["request-id"]


def test_key_of_another_scope_and_archived_project_are_403(gateway: Server, db: None) -> None:
    key = make_key()
    raw = key.raw + "_read"
    ApiKeyFactory(project=key.project, raw=raw, scopes=["read", "ingest", "admin"])

    answer = post(gateway, raw)
    assert (answer.status_code, error(answer)["code"]) == (403, "missing_scope")

    Project.objects.filter(pk=key.project_id).update(status=Project.Status.ARCHIVED)
    answer = post(gateway, key.raw)
    assert (answer.status_code, error(answer)["code"]) == (403, "project_archived")


def test_revoked_key_is_refused_within_a_second(gateway: Server, db: None) -> None:
    key = make_key()
    assert post(gateway, key.raw, {}).status_code == 400

    ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
    time.sleep(1.0)

    assert post(gateway, key.raw, {}).status_code == 401


def post(
    gateway: Server,
    raw: str,
    body: dict[str, Any] = CHAT,
    *,
    headers: dict[str, str] | None = None,
    timeout: float = 10,
) -> httpx2.Response:
    with httpx2.Client(trust_env=False, timeout=timeout) as client:
        sent = {"authorization": f"Bearer {raw}", **(headers or {})}
        return client.post(gateway.url + "/v1/chat/completions", json=body, headers=sent)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": CHAT["messages"]}, "model"),
        (CHAT | {"messages": "Hi"}, "messages"),
        (CHAT | {"stream": "yes"}, "stream"),
        (CHAT | {"max_tokens": 0}, "max_tokens"),
    ],
)
def test_field_at_fault_is_named(http: httpx2.Client, body: dict[str, Any], param: str) -> None:
    answer = http.post("/v1/chat/completions", json=body)

    assert (answer.status_code, error(answer)["param"]) == (400, param)
    assert answer.headers["x-should-retry"] == "false"


def test_body_that_is_no_json_and_header_at_fault(http: httpx2.Client) -> None:
    answer = http.post("/v1/chat/completions", content=b"{")
    assert (answer.status_code, error(answer)["code"]) == (400, "invalid_request")

    answer = http.post("/v1/chat/completions", json=CHAT, headers={"x-llmlab-priority": "now"})
    assert (answer.status_code, error(answer)["param"]) == (400, "x-llmlab-priority")

    answer = http.post("/v1/chat/completions", json=CHAT, headers={"content-encoding": "gzip"})
    assert (answer.status_code, error(answer)["code"]) == (415, "unsupported_encoding")


def test_model_nobody_serves_is_404(http: httpx2.Client) -> None:
    answer = http.post("/v1/chat/completions", json=CHAT | {"model": "claude-opus-9"})

    assert (answer.status_code, error(answer)["code"]) == (404, "model_not_found")
    assert "claude-opus-9" in error(answer)["message"]


def test_unknown_address_and_method(http: httpx2.Client) -> None:
    answer = http.post("/v1/audio/speech", json=CHAT)
    assert (answer.status_code, error(answer)["code"]) == (404, "unknown_url")

    answer = http.get("/v1/chat/completions")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_call_that_nobody_takes_gives_back_what_was_set_aside(gateway: Server, db: None) -> None:
    key = make_key()
    LimitFactory(organization=key.project.organization, metric="concurrency", window="", amount=1)
    rows = LLMRequest.objects.filter(project_id=key.project_id)

    def states() -> list[str]:
        return sorted(rows.values_list("state", flat=True))

    with pytest.raises(httpx2.ReadTimeout):
        post(gateway, key.raw, timeout=0.5)
    until(lambda: states() == ["cancelled"])
    late = post(gateway, key.raw, headers={"x-llmlab-timeout": "0.1"})
    assert (late.status_code, error(late)["code"]) == (504, "deadline_exceeded")
    until(lambda: states() == ["cancelled", "expired"])
    with pytest.raises(httpx2.ReadTimeout):
        post(gateway, key.raw, timeout=0.5)
    until(lambda: states() == ["cancelled", "cancelled", "expired"])


def test_call_that_redis_forgot_is_told_recorded_and_not_charged(gateway: Server, db: None) -> None:
    key = make_key()
    LimitFactory(organization=key.project.organization, metric="concurrency", window="", amount=1)
    with (
        Redis.from_url(settings.REDIS_URL) as redis,
        ThreadPoolExecutor(1) as pool,
    ):
        asked = pool.submit(post, gateway, key.raw)
        until(lambda: redis.exists("{gw}:turn:1") == 1)
        redis.flushdb()
        answer = asked.result(5)
    assert (answer.status_code, error(answer)["code"]) == (503, "queue_lost")
    assert answer.headers["retry-after"] == "1"
    rows = LLMRequest.objects.filter(project_id=key.project_id).values_list("state", "error")
    until(lambda: list(rows.all()) == [("lost", "queue_lost")])
    # What it had set aside is free again: the next one waits instead of being refused.
    with pytest.raises(httpx2.ReadTimeout):
        post(gateway, key.raw, timeout=0.3)
    assert rows.filter(state="refused").count() == 0


def too_long(url: str, path: str) -> tuple[str, dict[str, Any]]:
    """Status line and body for the head of a request that promises 33 MiB."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        length = 33 * 1024 * 1024
        connection.sendall(
            f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n".encode()
        )
        head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
    return head.decode().partition("\r\n")[0], json.loads(body)


def test_body_past_the_bound_is_413_in_the_dialects_shape(gateway: Server) -> None:
    status, body = too_long(gateway.url, "/v1/messages")
    assert (status[9:12], body["error"]["type"]) == ("413", "request_too_large")

    status, body = too_long(gateway.url, "/v1/responses?x=1")
    assert (status[9:12], body["error"]["code"]) == ("413", "body_too_large")
    assert "33554432" in body["error"]["message"]

    status, body = too_long(gateway.url, "/v1/traces")
    assert (status[9:12], body["code"], "8388608" in body["detail"]) == (
        "413",
        "body_too_large",
        True,
    )


def test_models_in_both_shapes(http: httpx2.Client) -> None:
    openai = http.get("/v1/models").json()
    assert openai["object"] == "list"
    assert "gpt-5.4-mini" in {one["id"] for one in openai["data"]}

    anthropic = http.get("/v1/models", headers={"anthropic-version": "2023-06-01"}).json()
    assert anthropic["data"][0]["type"] == "model"
    assert anthropic["has_more"] is False

    assert http.get("/v1/models/gpt-5.4-mini").json()["owned_by"] == "openai"
    assert http.get("/v1/models/nothing").status_code == 404


def test_a_request_a_check_stops_is_told_why_and_recorded_without_what_was_found(
    gateway: Server, db: None
) -> None:
    key = make_key()
    rules = {"guards": [{"kind": "pii", "action": "block"}]}
    GatewaySettings.objects.create(project=key.project, rules=rules)
    body = CHAT | {"messages": [{"role": "user", "content": "Write to jane@example.com"}]}

    answer = post(gateway, key.raw, body)

    assert (answer.status_code, error(answer)["code"]) == (400, "guard_blocked")
    assert error(answer)["guard"] == "pii"
    assert "jane" not in answer.text
    rows = LLMRequest.objects.filter(project_id=key.project_id)
    until(lambda: list(rows.values_list("state", "flags")) == [("refused", ["guard:pii:blocked"])])
