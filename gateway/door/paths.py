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
FILES, BATCHES, MESSAGE_BATCHES = "/v1/files", "/v1/batches", "/v1/messages/batches"
# All of /v1/ but OTLP's doors: a client that asks for what is not there reads an error of its own dialect.
_OURS = re.compile(r"/v1/(?!traces(?:/|$)|metrics(?:/|$)|logs(?:/|$))")


def is_gateway(path: str) -> bool:
    """Whether the gateway answers this path."""
    return _OURS.match(path) is not None


def object_of(path: str) -> tuple[str, list[str]] | None:
    """Which kind of thing at a provider a path is about (FILES, BATCHES, MESSAGE_BATCHES), and what follows."""
    for root in (FILES, BATCHES, MESSAGE_BATCHES):
        if path == root or path.startswith(f"{root}/"):
            return root, path[len(root) + 1 :].split("/") if path != root else []
    return None


def dialect_of(path: str, *, is_anthropic: bool = False) -> Dialect:
    """In whose words an error about this path is said; `is_anthropic`: the request has that API's headers."""
    found = CALLS.get(path)
    if found is not None:
        return found
    if path.startswith(BATCHES):
        return Dialect.CHAT
    return Dialect.MESSAGES if is_anthropic or path.startswith("/v1/messages") else Dialect.CHAT
