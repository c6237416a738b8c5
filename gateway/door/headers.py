"""What a request's headers say, under our names or LiteLLM's, Helicone's or Portkey's (pure).

One pass over the headers; of several names for one thing the first in `_NAMES` counts.
"""

import base64
import binascii

import msgspec

KEY_PREFIX = "llmlab_sk_"
MAX_VALUE = 8_192

# What is read, and the headers it may come in, ours first.
_NAMES: dict[str, tuple[str, ...]] = {
    "user": (
        "x-llmlab-user",
        "x-litellm-end-user-id",
        "x-litellm-customer-id",
        "helicone-user-id",
    ),
    "session": ("x-llmlab-session", "x-litellm-session-id", "helicone-session-id"),
    "tags": ("x-llmlab-tags", "x-litellm-tags"),
    "agent": ("x-llmlab-agent", "x-litellm-agent-id", "helicone-session-name"),
    "feature": ("x-llmlab-feature", "helicone-session-path"),
    "environment": ("x-llmlab-environment",),
    "prompt_version": ("x-llmlab-prompt-version", "helicone-prompt-id"),
    "metadata": (
        "x-llmlab-metadata",
        "x-litellm-spend-logs-metadata",
        "x-portkey-metadata",
    ),
    "trace": ("x-llmlab-trace-id", "x-portkey-trace-id", "x-litellm-trace-id"),
    "traceparent": ("traceparent",),
    "priority": ("x-llmlab-priority",),
    "timeout": ("x-llmlab-timeout", "x-litellm-timeout"),
    "timeout_ms": ("x-portkey-request-timeout",),
    "first_token": ("x-llmlab-first-token-timeout", "x-litellm-stream-timeout"),
    "tries": ("x-llmlab-tries",),
    "retries": ("x-litellm-num-retries",),
    "retry_is_on": ("helicone-retry-enabled",),
    "cache": ("x-llmlab-cache", "helicone-cache-enabled"),
    "cache_ttl": ("x-llmlab-cache-ttl",),
    "cache_namespace": (
        "x-llmlab-cache-namespace",
        "helicone-cache-seed",
        "x-portkey-cache-namespace",
    ),
    "cache_per_user": ("x-llmlab-cache-per-user",),
    "cache_refresh": ("x-portkey-cache-force-refresh",),
    "cache_control": ("cache-control",),
    "omit": ("x-llmlab-omit",),
    "omit_request": ("helicone-omit-request",),
    "omit_response": ("helicone-omit-response",),
    "redact": ("x-litellm-enable-message-redaction",),
    "prefer": ("prefer",),
    "idempotency": ("idempotency-key",),
    "webhook": ("x-llmlab-webhook",),
    "connection": ("x-llmlab-connection",),
    "content_type": ("content-type",),
    "host": ("host",),
    "content_encoding": ("content-encoding",),
}
_FIELDS = {
    name.encode(): (field, rank)
    for field, names in _NAMES.items()
    for rank, name in enumerate(names)
}
# Keys; a client of another gateway may send its provider's key beside ours, so the one that is ours counts.
_KEYS = {
    b"authorization",
    b"x-api-key",
    b"api-key",
    b"x-goog-api-key",
    b"x-litellm-api-key",
    b"helicone-auth",
    b"x-portkey-api-key",
}
# Passed on to providers as they came.
_PASSED = {b"anthropic-version", b"anthropic-beta", b"openai-beta"}
_PROPERTY = b"helicone-property-"


class HeaderError(ValueError):
    """A header that cannot be followed: which one, and the rule."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


class Said(msgspec.Struct):
    """The headers, sorted."""

    key: str = ""
    values: dict[str, str] = {}  # by the names in _NAMES
    names: dict[str, str] = {}  # which header each value came in
    properties: dict[str, str] = {}  # Helicone's
    passed: dict[str, str] = {}
    is_anthropic: bool = False


def read_headers(headers: list[tuple[bytes, bytes]]) -> Said:
    """Sort what counts. Raises HeaderError for a value that is too long."""
    said = Said()
    values, names = said.values, said.names
    ranks: dict[str, int] = {}
    for name, value in headers:
        found = _FIELDS.get(name)
        if found is not None:
            field, rank = found
            if field in ranks and ranks[field] <= rank:
                continue
            ranks[field] = rank
            names[field] = name.decode("latin-1")
            values[field] = _text(name, value)
        elif name in _KEYS:
            key = _key(name, value)
            if key and (not said.key or key.startswith(KEY_PREFIX)):
                said.key = key
            said.is_anthropic = said.is_anthropic or name == b"x-api-key"
        elif name in _PASSED:
            said.passed[name.decode()] = _text(name, value)
        elif name.startswith(_PROPERTY):
            said.properties[name[len(_PROPERTY) :].decode("latin-1")] = _text(name, value)
    said.is_anthropic = said.is_anthropic or "anthropic-version" in said.passed
    return said


def _text(name: bytes, value: bytes) -> str:
    """Text as programs send it: UTF-8, or Latin-1 as HTTP says."""
    if len(value) > MAX_VALUE:
        raise HeaderError(name.decode("latin-1"), f"It is longer than {MAX_VALUE} bytes.")
    try:
        return value.decode().strip()
    except UnicodeDecodeError:
        return value.decode("latin-1").strip()


def _key(name: bytes, value: bytes) -> str:
    if len(value) > MAX_VALUE:
        return ""
    text = value.decode("latin-1").strip()
    scheme, _, rest = text.partition(" ")
    kind = scheme.lower()
    if kind == "bearer":
        return rest.strip()
    if kind == "basic" and name == b"authorization":
        try:
            user, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return ""
        return user if user.startswith(KEY_PREFIX) else password or user
    return text
