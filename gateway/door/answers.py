"""What the gateway itself says: errors in the caller's dialect, and the headers of every answer (pure)."""

from typing import Any

from gateway.dialects.errors import error_body
from gateway.structs import Call, Dialect, Summary

Headers = list[tuple[bytes, bytes]]
JSON = (b"content-type", b"application/json")


class RefusalError(Exception):
    """The gateway answers this itself."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str = "",
        retry_after_s: int = 0,
        headers: dict[str, str] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.headers = dict(headers or {})
        self.extra = extra
        if retry_after_s:
            self.headers["retry-after"] = str(retry_after_s)

    def answer(self, dialect: Dialect, request_id: str) -> tuple[Headers, bytes]:
        """Headers and body."""
        body = error_body(
            dialect,
            status=self.status,
            code=self.code,
            message=self.message,
            param=self.param,
            request_id=request_id,
            extra=self.extra,
        )
        headers = [JSON, *own_headers(dialect, request_id), *encoded(self.headers)]
        # Clients of OpenAI and Anthropic try again by themselves; what cannot get better is said so.
        if self.status < 500 and self.status not in (408, 409, 429):
            headers.append((b"x-should-retry", b"false"))
        headers.append(_length(body))
        return headers, body


def own_headers(dialect: Dialect, request_id: str) -> Headers:
    """The request's id, also where the dialect's clients and LiteLLM's and Helicone's users look for it."""
    raw = request_id.encode()
    return [
        (b"x-llmlab-request-id", raw),
        (b"request-id" if dialect.is_anthropic else b"x-request-id", raw),
        (b"x-litellm-call-id", raw),
        (b"helicone-id", raw),
    ]


def encoded(headers: dict[str, str]) -> Headers:
    """As ASGI wants them; what no header can carry is replaced."""
    return [
        (name.encode("latin-1"), _clean(value).encode("latin-1", "replace"))
        for name, value in headers.items()
        if value
    ]


def _clean(value: str) -> str:
    return value if value.isprintable() else "".join(sign for sign in value if sign.isprintable())


def call_headers(call: Call, headers: dict[str, str]) -> Headers:
    """Of an answer's head: what the worker said, and where the call went."""
    found = encoded(headers)
    found += own_headers(call.dialect, call.id)
    found.append((b"x-litellm-model-group", _name(call.model)))
    if call.decision.route:
        found.append((b"x-llmlab-route", _name(call.decision.route)))
    if call.cache is not None and "x-llmlab-cache" not in headers:
        found += cache_headers("miss" if call.cache.reads else "refresh")
    return found


def cache_headers(state: str) -> Headers:
    """What the caches did, for us and for Helicone's users."""
    word = b"HIT" if state in ("exact", "semantic") else b"MISS"
    return [(b"x-llmlab-cache", state.encode()), (b"helicone-cache", word)]


def cost_headers(summary: Summary | None, duration_ms: float) -> Headers:
    """Of an answer that is whole: what it cost and how long it took."""
    took = b"%.1f" % duration_ms
    found = [(b"x-litellm-response-duration-ms", took)]
    if summary is not None and summary.cost_usd:
        cost = summary.cost_usd.encode()
        found += [(b"x-llmlab-cost-usd", cost), (b"x-litellm-response-cost", cost)]
    return found


def _name(text: str) -> bytes:
    return _clean(text).encode("latin-1", "replace")


def _length(body: bytes) -> tuple[bytes, bytes]:
    return b"content-length", b"%d" % len(body)
