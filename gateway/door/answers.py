"""What the gateway itself says: errors in the caller's dialect, and the headers of every answer (pure)."""

from typing import Any

from gateway.cache.kept import Hit
from gateway.dialects.errors import error_body
from gateway.structs import Call, Dialect, Summary

Headers = list[tuple[bytes, bytes]]
JSON = (b"content-type", b"application/json")
EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
# What LiteLLM calls what a worker says.
_LITELLM = (
    ("x-llmlab-connection", b"x-litellm-model-id"),
    ("x-llmlab-retries", b"x-litellm-attempted-retries"),
    ("x-llmlab-fallbacks", b"x-litellm-attempted-fallbacks"),
)


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


def answer_headers(call: Call, headers: dict[str, str]) -> Headers:
    """Of an answer's head that came from a worker."""
    found = call_headers(call, headers)
    found += [(alias, headers[name].encode()) for name, alias in _LITELLM if headers.get(name)]
    if call.cache is not None and "x-llmlab-cache" not in headers:
        found += cache_headers("miss" if call.cache.reads else "refresh")
    return found


def call_headers(call: Call, headers: dict[str, str]) -> Headers:
    """The call's names, where it went, and what else is said of it."""
    found = encoded(headers)
    found += own_headers(call.dialect, call.id)
    found.append((b"x-litellm-model-group", _name(call.model)))
    if call.decision.route:
        found.append((b"x-llmlab-route", _name(call.decision.route)))
    return found


def cache_headers(state: str) -> Headers:
    """What the caches did, for us and for Helicone's users."""
    word = b"HIT" if state in ("exact", "semantic") else b"MISS"
    return [(b"x-llmlab-cache", state.encode()), (b"helicone-cache", word)]


def hit_headers(call: Call, hit: Hit, now: float) -> Headers:
    """Of a kept answer: nothing was paid for it, and how much that saved."""
    found = call_headers(call, {"x-llmlab-provider": hit.provider, "x-llmlab-model": hit.model})
    found += [
        *cache_headers(hit.kind),
        (b"age", b"%d" % max(0.0, now - hit.created_at)),
        (b"x-llmlab-cost-usd", b"0"),
        (b"x-litellm-response-cost", b"0"),
    ]
    if hit.cost_usd is not None:
        found.append((b"x-llmlab-saved-usd", f"{hit.cost_usd:f}".encode()))
    if call.cache is not None:
        found.append((b"x-litellm-cache-key", call.cache.key.encode()))
    return found


def cost_headers(summary: Summary | None, headers: dict[str, str], duration_ms: float) -> Headers:
    """Of an answer that is whole: what it cost, how long it took, and how much of that was not the provider."""
    found = [(b"x-litellm-response-duration-ms", b"%.1f" % duration_ms)]
    provider = headers.get("x-llmlab-provider-ms")
    if provider:
        ours = max(0.0, duration_ms - float(provider))
        found.append((b"x-litellm-overhead-duration-ms", b"%.1f" % ours))
    said = summary.cost_usd if summary is not None else ""
    if summary is not None and summary.state == "cached":
        said = "0"
    if said:
        cost = said.encode()
        found += [(b"x-llmlab-cost-usd", cost), (b"x-litellm-response-cost", cost)]
    return found


def _name(text: str) -> bytes:
    return _clean(text).encode("latin-1", "replace")
