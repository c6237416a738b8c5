"""OpenAI's Responses, whole and streamed."""

from collections.abc import Iterable
from typing import Any

from .answer import Answer, by_index, error_of, mapping, text
from .call import Json
from .wire import Event

_ENDS = ("response.completed", "response.incomplete", "response.failed")


def read_response(body: Json) -> Answer:
    """A whole response object."""
    answer = Answer()
    answer.model, answer.response_id = text(body.get("model")), text(body.get("id"))
    answer.service_tier = text(body.get("service_tier"))
    answer.usage = mapping(body.get("usage")) or None
    if isinstance(body.get("output"), list):
        answer.output = body["output"]
    status = body.get("status")
    if status == "completed":
        answer.finish_reason = "stop"
    elif status == "incomplete":
        answer.finish_reason = text(mapping(body.get("incomplete_details")).get("reason"))
    elif status == "failed":
        answer.error = error_of(body, "failed", "")
    return answer


def fold_response(events: Iterable[Event]) -> Answer:
    """The response that the last event brings; of a stream that broke off, what was done by then."""
    opening: Json = {}
    items: dict[int, Any] = {}
    texts: dict[int, str] = {}
    error: Any = None
    whole = None
    first_token_at = None
    for event in events:
        data = event.data or {}
        if event.name.endswith(".delta") and first_token_at is None:
            first_token_at = event.at
        if event.name in _ENDS:
            whole = read_response(mapping(data.get("response")))
        elif event.name in ("response.created", "response.in_progress"):
            opening = mapping(data.get("response")) or opening
        elif event.name == "error":
            error = error_of(data, "stream_error", "")
        else:
            _keep(event.name, data, items, texts)
    answer = whole or read_response(opening)
    if whole is None:
        answer.is_whole, answer.usage, answer.finish_reason = False, None, None
        answer.output = _so_far(items, texts)
    answer.error = error or answer.error
    answer.first_token_at = first_token_at
    return answer


def _keep(name: str, data: Json, items: dict[int, Any], texts: dict[int, str]) -> None:
    index = data.get("output_index")
    if not isinstance(index, int):
        return
    if name == "response.output_item.done" and mapping(data.get("item")):
        items[index] = data["item"]
    elif name == "response.output_text.delta" and isinstance(data.get("delta"), str):
        texts[index] = texts.get(index, "") + data["delta"]


def _so_far(items: dict[int, Any], texts: dict[int, str]) -> Any:
    """Items that were done, and the text of those that were not."""
    parts = {
        index: {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": written}],
        }
        for index, written in texts.items()
    }
    output: list[Any] = [item for _, item in by_index({**parts, **items})]
    return output or None
