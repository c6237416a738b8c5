"""`GET /v1/models`: what a project may call, in OpenAI's or Anthropic's shape (pure but for the price catalogue)."""

from typing import Any

import msgspec

from gateway.connections.providers import known_models, price_provider
from gateway.snapshot import Snapshot

_ADDED_AT = 1_700_000_000
_ADDED_ON = "2023-11-14T22:13:20Z"


def callable_models(snapshot: Snapshot) -> dict[str, str]:
    """Names and whose they are: routes first, then what the connections serve."""
    found = {view.name: "llmlab" for view in snapshot.routes.values()}
    if not snapshot.rules.direct:
        return found
    for view in snapshot.connections.values():
        for name in view.model_names or known_models(view.kind):
            found.setdefault(name, price_provider(view))
    return found


def model_list(snapshot: Snapshot, *, is_anthropic: bool) -> bytes:
    """All of them, on one page."""
    models = callable_models(snapshot)
    if not is_anthropic:
        data = [_openai(name, owner) for name, owner in models.items()]
        return msgspec.json.encode({"object": "list", "data": data})
    data = [_anthropic(name) for name in models]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {}
    page = {"data": data, "has_more": False, "first_id": None, "last_id": None, **ends}
    return msgspec.json.encode(page)


def one_model(snapshot: Snapshot, name: str, *, is_anthropic: bool) -> bytes | None:
    """A model by its name; None: the project may not call it."""
    owner = callable_models(snapshot).get(name)
    if owner is None:
        return None
    return msgspec.json.encode(_anthropic(name) if is_anthropic else _openai(name, owner))


def _openai(name: str, owner: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _ADDED_AT, "owned_by": owner}


def _anthropic(name: str) -> dict[str, Any]:
    return {"type": "model", "id": name, "display_name": name, "created_at": _ADDED_ON}
