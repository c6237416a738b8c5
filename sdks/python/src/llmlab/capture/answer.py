"""What a shape of bodies reads from a request and its answer, before both become a step."""

from typing import Any, Optional

from .call import Json


class Answer:
    """One answer, whole or folded from a stream. None means not known."""

    __slots__ = (
        "attributes", "error", "finish_reason", "first_token_at", "is_whole", "model", "output",
        "response_id", "service_tier", "usage",
    )  # fmt: skip

    def __init__(self) -> None:
        self.model: Optional[str] = None
        self.response_id: Optional[str] = None
        self.finish_reason: Optional[str] = None
        self.service_tier: Optional[str] = None
        self.usage: Optional[Json] = None
        self.output: Any = None
        self.error: Optional[Json] = None
        self.attributes: Json = {}
        self.first_token_at: Optional[float] = None
        # False for a stream whose end never came.
        self.is_whole = True


def text(value: Any) -> Optional[str]:
    """The value if it is a text with something in it."""
    return value if isinstance(value, str) and value else None


def mapping(value: Any) -> Json:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[Json]:
    """The objects of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def one_or_list(values: list[Any]) -> Any:
    """A single value for itself, several as a list, None for none."""
    return values[0] if len(values) == 1 else (values or None)


def error_of(body: Any, fallback_type: str, fallback_message: str) -> Json:
    """Type and message of an error body as OpenAI and Anthropic send it, and of an error event."""
    error = mapping(mapping(body).get("error"))
    if not error and mapping(body).get("type") == "error":
        error = {key: value for key, value in mapping(body).items() if key != "type"}
    code = error.get("code")
    kind = text(error.get("type")) or text(code if not isinstance(code, int) else str(code))
    return {
        "type": kind or fallback_type,
        "message": text(error.get("message")) or fallback_message,
    }


def by_index(parts: dict[int, Any]) -> list[tuple[int, Any]]:
    """The parts of a fold in the order of their index."""
    return sorted(parts.items(), key=lambda part: part[0])
