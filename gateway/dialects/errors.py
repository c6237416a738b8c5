"""Errors in each dialect's own shape, and what a provider's error means for the next step (pure)."""

from typing import Any, NamedTuple

import msgspec

from gateway.structs import Dialect

MAX_MESSAGE = 2_000

_OPENAI_TYPES = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    408: "timeout_error",
    409: "conflict_error",
    429: "rate_limit_error",
}
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
# What an error inside a stream (status 200) would have been as an answer of its own.
_STATUS_OF_WORD = {
    "invalid_request_error": 400, "invalid_prompt": 400, "authentication_error": 401,
    "invalid_api_key": 401, "billing_error": 402, "insufficient_quota": 429,
    "permission_error": 403, "not_found_error": 404, "model_not_found": 404,
    "request_too_large": 413, "rate_limit_error": 429, "rate_limit_exceeded": 429, "requests": 429,
    "tokens": 429, "timeout_error": 504, "timeout": 504, "overloaded_error": 529,
    "context_length_exceeded": 400, "content_filter": 400,
}  # fmt: skip

_CONTEXT_CODES = frozenset(
    {"context_length_exceeded", "exceed_context_size_error", "context_window_exceeded"}
)
_CONTEXT_WORDS = (
    "maximum context length", "prompt is too long", "context window", "exceed context limit",
    "available context size", "input token count", "maximum number of tokens allowed",
    "max_new_tokens` must be", "longer than the maximum", "too large for model with",
)  # fmt: skip
_FILTER_CODES = frozenset(
    {
        "content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation", "bio_policy",
        "misalignment_policy_violation", "image_content_policy_violation",
    }
)  # fmt: skip
_FILTER_WORDS = ("content filtering policy", "content management policy", "safety system")
_QUOTA_CODES = frozenset(
    {
        "insufficient_quota", "billing_error", "billing_hard_limit_reached",
        "enforced_spend_limit_reached", "contract_spend_limit_reached",
    }
)  # fmt: skip


class Failure(NamedTuple):
    """A provider's refusal: `reason` is a FallbackReason, or `bad_request` or `not_found`."""

    reason: str
    code: str
    message: str
    # As the answer said, or as its words mean when an error came inside a stream.
    status: int = 500

    @property
    def is_retryable(self) -> bool:
        """Whether asking the same target again may help. An empty account does not fill up in a second."""
        return self.reason in ("error", "timeout", "rate_limit") and self.code not in _QUOTA_CODES


def error_body(
    dialect: Dialect,
    *,
    status: int,
    code: str,
    message: str,
    param: str = "",
    request_id: str = "",
    extra: dict[str, Any] | None = None,
) -> bytes:
    """An error's body as the dialect's clients read it. `extra` (a limit, what is left of it) goes beside its code."""
    return msgspec.json.encode(
        _error(dialect, status, code, message, param, request_id, extra or {})
    )


def _error(
    dialect: Dialect,
    status: int,
    code: str,
    message: str,
    param: str,
    request_id: str,
    extra: dict[str, Any],
) -> dict[str, Any]:
    if dialect.is_anthropic:
        kind = _ANTHROPIC_TYPES.get(status)
        kind = kind or ("api_error" if status >= 500 else "invalid_request_error")
        text = f"{param}: {message}" if param else message
        details = {"error_code": code, **extra}
        error = {"type": kind, "message": text, "details": details}
        return {"type": "error", "error": error, "request_id": request_id or None}
    kind = _OPENAI_TYPES.get(status)
    kind = kind or ("server_error" if status >= 500 else "invalid_request_error")
    if code == "insufficient_quota":
        kind = code
    found = {"message": message, "type": kind, "param": param or None, "code": code, **extra}
    if request_id:
        found["request_id"] = request_id
    return {"error": found}


def error_event(
    dialect: Dialect,
    *,
    status: int,
    code: str,
    message: str,
    request_id: str = "",
    sequence_number: int = 0,
) -> bytes:
    """An error in the middle of a stream whose head said 200: the event the dialect's clients raise for."""
    if dialect is Dialect.RESPONSES:
        data = {
            "type": "error",
            "code": code,
            "message": message,
            "param": None,
            "sequence_number": sequence_number,
        }
        return b"event: error\ndata: %b\n\n" % msgspec.json.encode(data)
    body = error_body(dialect, status=status, code=code, message=message, request_id=request_id)
    return (b"event: error\ndata: %b\n\n" if dialect.is_anthropic else b"data: %b\n\n") % body


def classify(dialect: Dialect, status: int, body: bytes) -> Failure:
    """What a provider's error means. A status below 400 is an error inside a stream: its words then tell."""
    error = _read_error(body)
    kind, code, message = _words(error)
    if not message:
        message = body[:300].decode("utf-8", "replace").strip() or f"The provider answered {status}"
    if status < 400:
        status = _STATUS_OF_WORD.get(code) or _STATUS_OF_WORD.get(kind) or 500
    reason = _reason(status, kind, code, message)
    return Failure(reason, code or kind or str(status), message, status)


def _read_error(body: bytes) -> dict[str, Any]:
    """The error object in a body: OpenAI's, Anthropic's, Gemini's (in a list) or a compatible server's."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return {}
    if type(found) is list and found:
        found = found[0]
    if type(found) is not dict:
        return {}
    response = found.get("response")  # response.failed
    inner = found.get("error") or (response.get("error") if type(response) is dict else None)
    if type(inner) is dict:
        return inner
    if type(inner) is str:
        return {"message": inner}
    return found


def _words(error: dict[str, Any]) -> tuple[str, str, str]:
    """Type, code and message, each text; details tell more than their whole."""
    kind = error.get("type") or error.get("status") or ""
    code = error.get("code") or ""
    details, inner = error.get("details"), error.get("innererror")
    if type(details) is dict and details.get("error_code"):
        code = details["error_code"]
    if type(inner) is dict and inner.get("code"):
        code = code or inner["code"]
    message = error.get("message") or error.get("detail") or ""
    if type(message) is not str:
        message = msgspec.json.encode(message).decode()
    return (
        kind if type(kind) is str else "",
        code if type(code) is str else "",
        message[:MAX_MESSAGE],
    )


def _reason(status: int, kind: str, code: str, message: str) -> str:
    low = message.lower()
    if status == 429 or code == "rate_limit_exceeded" or status == 402 or code in _QUOTA_CODES:
        return "rate_limit"
    if status in (400, 413, 422):
        if code in _FILTER_CODES or any(word in low for word in _FILTER_WORDS):
            return "content_filter"
        if code in _CONTEXT_CODES or kind in _CONTEXT_CODES or status == 413:
            return "context_length"
        if any(word in low for word in _CONTEXT_WORDS):
            return "context_length"
        return "auth" if "api key not valid" in low else "bad_request"
    if status in (401, 403):
        return "auth"
    if status == 404:
        return "not_found"
    if status in (408, 504):
        return "timeout"
    return "error" if status >= 500 or status == 409 else "bad_request"


def client_error(
    client: Dialect, provider: Dialect, status: int, body: bytes, *, request_id: str = ""
) -> tuple[int, bytes]:
    """Status and body the client gets for a provider's error: its own words on equal wires, else translated.

    That the provider refused our credentials is none of the client's: it reads 502, and no key's remains.
    """
    failure = classify(provider, status, body)
    if failure.reason == "auth":
        text = "The provider refused the gateway's credentials. An administrator must look at the connection."
        code = "provider_credentials_refused"
        made = error_body(client, status=502, code=code, message=text, request_id=request_id)
        return 502, made
    if client.is_anthropic == provider.is_anthropic and _is_own_shape(provider, body):
        return status, body
    if status == 529 and not client.is_anthropic:
        status = 503
    if status == 402 and not client.is_anthropic:
        status = 429
    made = error_body(
        client, status=status, code=failure.code, message=failure.message, request_id=request_id
    )
    return status, made


def _is_own_shape(provider: Dialect, body: bytes) -> bool:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return False
    if type(found) is not dict or type(found.get("error")) is not dict:
        return False
    return not provider.is_anthropic or found.get("type") == "error"
