"""Errors in every dialect's shape, and what a provider's error means."""

from typing import Any

import msgspec
import pytest

from gateway.dialects.errors import classify, client_error, error_body, error_event
from gateway.structs import Dialect

CHAT, MESSAGES, RESPONSES = Dialect.CHAT, Dialect.MESSAGES, Dialect.RESPONSES


def test_bodies() -> None:
    made = error_body(
        CHAT, status=429, code="limit", message="No.", param="model", extra={"resets_at": 7}
    )
    assert msgspec.json.decode(made) == {
        "error": {
            "message": "No.",
            "type": "rate_limit_error",
            "param": "model",
            "code": "limit",
            "resets_at": 7,
        }
    }
    made = error_body(
        MESSAGES, status=402, code="budget", message="No.", request_id="r", extra={"left": "0"}
    )
    assert msgspec.json.decode(made) == {
        "type": "error",
        "error": {
            "type": "billing_error",
            "message": "No.",
            "details": {"error_code": "budget", "left": "0"},
        },
        "request_id": "r",
    }


@pytest.mark.parametrize(
    ("dialect", "start"),
    [
        (CHAT, b'data: {"error":{"message":"No."'),
        (MESSAGES, b'event: error\ndata: {"type":"error","error":{"type":"api_error"'),
        (
            RESPONSES,
            b'event: error\ndata: {"type":"error","code":"cut","message":"No.","param":null,"sequence_number":4}',
        ),
    ],
)
def test_events(dialect: Dialect, start: bytes) -> None:
    made = error_event(dialect, status=502, code="cut", message="No.", sequence_number=4)
    assert made.startswith(start)
    assert made.endswith(b"}\n\n")


def openai(message: str = "", code: Any = None, kind: str = "invalid_request_error") -> bytes:
    return msgspec.json.encode({"error": {"message": message, "type": kind, "code": code}})


def anthropic(kind: str, message: str = "", **details: Any) -> bytes:
    error = {"type": kind, "message": message, "details": details or None}
    return msgspec.json.encode({"type": "error", "error": error})


GEMINI = msgspec.json.encode(
    [{"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED"}}]
)
AZURE = msgspec.json.encode(
    {
        "error": {
            "message": "The response was filtered due to the prompt",
            "code": None,
            "innererror": {"code": "ResponsibleAIPolicyViolation"},
        }
    }
)


@pytest.mark.parametrize(
    ("dialect", "status", "body", "reason", "code"),
    [
        (CHAT, 429, openai("slow", "rate_limit_exceeded"), "rate_limit", "rate_limit_exceeded"),
        (CHAT, 429, openai("pay", "insufficient_quota"), "rate_limit", "insufficient_quota"),
        (
            CHAT,
            400,
            openai("long", "context_length_exceeded"),
            "context_length",
            "context_length_exceeded",
        ),
        (
            CHAT,
            400,
            b'{"object":"error","message":"This model\'s maximum context length is 4096","code":400}',
            "context_length",
            "400",
        ),
        (CHAT, 400, openai("bad", None), "bad_request", "invalid_request_error"),
        (CHAT, 400, AZURE, "content_filter", "ResponsibleAIPolicyViolation"),
        (CHAT, 401, openai("key", "invalid_api_key"), "auth", "invalid_api_key"),
        (
            CHAT,
            400,
            b'[{"error":{"code":400,"message":"API key not valid."}}]',
            "auth",
            "400",
        ),
        (CHAT, 404, openai("no", "model_not_found"), "not_found", "model_not_found"),
        (CHAT, 404, b'{"error":"model \'x\' not found"}', "not_found", "404"),
        (CHAT, 408, b"", "timeout", "408"),
        (CHAT, 409, b"", "error", "409"),
        (CHAT, 422, b'{"detail":[{"msg":"field required"}]}', "bad_request", "422"),
        (CHAT, 429, GEMINI, "rate_limit", "RESOURCE_EXHAUSTED"),
        (CHAT, 502, b"<html>Bad gateway</html>", "error", "502"),
        (MESSAGES, 529, anthropic("overloaded_error"), "error", "overloaded_error"),
        (
            MESSAGES,
            400,
            anthropic(
                "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"
            ),
            "context_length",
            "invalid_request_error",
        ),
        (
            MESSAGES,
            429,
            anthropic("rate_limit_error", "x", error_code="enforced_spend_limit_reached"),
            "rate_limit",
            "enforced_spend_limit_reached",
        ),
        (MESSAGES, 402, anthropic("billing_error"), "rate_limit", "billing_error"),
        (MESSAGES, 413, anthropic("request_too_large"), "context_length", "request_too_large"),
        (MESSAGES, 504, anthropic("timeout_error"), "timeout", "timeout_error"),
        (MESSAGES, 200, anthropic("overloaded_error"), "error", "overloaded_error"),
        (MESSAGES, 200, anthropic("rate_limit_error"), "rate_limit", "rate_limit_error"),
        (CHAT, 200, b'{"error":{"message":"x"}}', "error", "200"),
    ],
)
def test_meaning(dialect: Dialect, status: int, body: bytes, reason: str, code: str) -> None:
    found = classify(dialect, status, body)
    assert (found.reason, found.code) == (reason, code.replace("200", "500"))
    assert found.message


def test_an_empty_account_is_not_asked_again() -> None:
    assert not classify(CHAT, 429, openai("pay", "insufficient_quota")).is_retryable
    assert classify(CHAT, 429, openai("slow", "rate_limit_exceeded")).is_retryable
    assert not classify(CHAT, 400, openai("bad")).is_retryable


def test_client_reads_its_own_shape() -> None:
    body = openai("Slow down.", "rate_limit_exceeded")
    assert client_error(CHAT, RESPONSES, 429, body) == (429, body)
    status, made = client_error(MESSAGES, CHAT, 429, body, request_id="r")
    found = msgspec.json.decode(made)
    assert (status, found["error"]["type"]) == (429, "rate_limit_error")
    assert (found["error"]["message"], found["request_id"]) == ("Slow down.", "r")
    status, made = client_error(CHAT, MESSAGES, 529, anthropic("overloaded_error", "Busy"))
    assert (status, msgspec.json.decode(made)["error"]["type"]) == (503, "server_error")
    status, made = client_error(CHAT, CHAT, 502, b"<html>")
    assert msgspec.json.decode(made)["error"]["message"] == "<html>"


def test_our_credentials_are_not_the_clients_business() -> None:
    body = openai("Incorrect API key provided: sk-abcd***", "invalid_api_key")
    status, made = client_error(CHAT, CHAT, 401, body)
    assert status == 502
    assert b"sk-abcd" not in made
