"""Which requests are the gateway's (pure; the launcher asks it too, before Django is there)."""

import re

from gateway.structs import Dialect

CALLS: dict[str, Dialect] = {
    "/v1/chat/completions": Dialect.CHAT,
    "/v1/completions": Dialect.COMPLETIONS,
    "/v1/embeddings": Dialect.EMBEDDINGS,
    "/v1/responses": Dialect.RESPONSES,
    "/v1/messages": Dialect.MESSAGES,
    "/v1/messages/count_tokens": Dialect.COUNT_TOKENS,
}
MODELS = "/v1/models"
# All of /v1/ but OTLP's doors: a client that asks for what is not there reads an error of its own dialect.
_OURS = re.compile(r"/v1/(?!traces(?:/|$)|metrics(?:/|$)|logs(?:/|$))")


def is_gateway(path: str) -> bool:
    """Whether the gateway answers this path."""
    return _OURS.match(path) is not None


def dialect_of(path: str, *, is_anthropic: bool = False) -> Dialect:
    """In whose words an error about this path is said; `is_anthropic`: the request has that API's headers."""
    found = CALLS.get(path)
    if found is not None:
        return found
    return Dialect.MESSAGES if is_anthropic or path.startswith("/v1/messages") else Dialect.CHAT
