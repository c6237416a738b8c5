"""What a run of LangChain says about itself, as fields of a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NAMES = {"amazon_bedrock": "aws.bedrock", "google_vertexai": "gcp.vertex_ai"}
# Raised to steer a graph, not because something failed.
_STEERING = frozenset(("GraphBubbleUp", "GeneratorExit", "StopIteration", "StopAsyncIteration"))


def name_of(serialized: Any, kwargs: Mapping[str, Any], fallback: str) -> str:
    """The name LangChain shows for a run."""
    if kwargs.get("name"):
        return str(kwargs["name"])
    if isinstance(serialized, Mapping):
        path = serialized.get("id")
        if serialized.get("name") or path:
            return str(serialized.get("name") or (path[-1] if isinstance(path, list) else path))
    return fallback


def is_fault(error: BaseException) -> bool:
    """Whether an exception is one, or how a graph pauses and a reader stops."""
    return not any(base.__name__ in _STEERING for base in type(error).__mro__)


def request_fields(metadata: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Model, provider and parameters of a call that no provider's client below recorded."""
    provider = str(metadata.get("ls_provider") or "")
    left_out = ("model", "model_name", "tools", "stream", "_type")
    fields = {
        "operation": "chat",
        "provider": _NAMES.get(provider, provider) or None,
        "request_model": metadata.get("ls_model_name") or params.get("model") or params.get("model_name"),
        "tools": params.get("tools"),
        "parameters": {
            key: value for key, value in params.items() if key not in left_out and value is not None
        },
    }  # fmt: skip
    return {key: value for key, value in fields.items() if value}


def answer_fields(response: Any) -> dict[str, Any]:
    """Output, usage, model and the like from LangChain's LLMResult."""
    groups = getattr(response, "generations", None) or []
    generations = [item for group in groups for item in group]
    messages = [getattr(item, "message", None) or getattr(item, "text", "") for item in generations]
    first = messages[0] if messages else None
    said = getattr(first, "response_metadata", None) or {}
    whole = getattr(response, "llm_output", None) or {}
    usage, convention = _usage(first, said, whole)
    fields = {
        "output": messages[0] if len(messages) == 1 else messages,
        "model": said.get("model_name") or said.get("model") or whole.get("model_name"),
        "response_id": said.get("id") or whole.get("id"),
        "finish_reason": said.get("finish_reason") or said.get("stop_reason"),
        "service_tier": said.get("service_tier"),
        "usage": usage,
        "usage_convention": convention,
    }
    return {key: value for key, value in fields.items() if value}


def _usage(message: Any, said: Mapping[str, Any], whole: Mapping[str, Any]) -> tuple[Any, Any]:
    """The provider's own object if LangChain kept it, else LangChain's, whose input includes the cache."""
    own = said.get("token_usage") or said.get("usage") or whole.get("token_usage")
    if own:
        return own, None
    counted = getattr(message, "usage_metadata", None)
    if not counted:
        return None, None
    read = counted.get("input_token_details") or {}
    written = counted.get("output_token_details") or {}
    return {
        "input_tokens": counted.get("input_tokens"),
        "output_tokens": counted.get("output_tokens"),
        "total_tokens": counted.get("total_tokens"),
        "input_tokens_details": {
            "cached_tokens": read.get("cache_read") or 0,
            "cache_write_tokens": read.get("cache_creation") or 0,
            "audio_tokens": read.get("audio") or 0,
        },
        "output_tokens_details": {
            "reasoning_tokens": written.get("reasoning") or 0,
            "audio_tokens": written.get("audio") or 0,
        },
    }, "inclusive"
