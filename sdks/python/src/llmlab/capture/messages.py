"""Anthropic's messages, whole and streamed, wherever they are hosted, and the creation of batches."""

from collections.abc import Iterable
from typing import Any, Optional

from .answer import Answer, by_index, error_of, mapping, text
from .call import Json
from .wire import Event, json_of


def read_message(body: Json) -> Answer:
    """A whole message."""
    answer = Answer()
    answer.model, answer.response_id = text(body.get("model")), text(body.get("id"))
    answer.finish_reason = text(body.get("stop_reason"))
    answer.usage = mapping(body.get("usage")) or None
    answer.service_tier = text(mapping(answer.usage).get("service_tier"))
    if "content" in body:
        answer.output = {"role": text(body.get("role")) or "assistant", "content": body["content"]}
    return answer


def read_batch(body: Json) -> Answer:
    """A batch that was taken on; its answers come later, elsewhere."""
    answer = Answer()
    answer.response_id = text(body.get("id"))
    return answer


class _Fold:
    def __init__(self) -> None:
        self.message: Optional[Json] = None
        self.blocks: dict[int, Json] = {}
        self.inputs: dict[int, str] = {}
        self.error: Optional[Json] = None
        self.first_token_at: Optional[float] = None
        self.is_whole = False

    def add(self, event: Event) -> None:
        data = event.data or {}
        index = data.get("index")
        if event.name == "message_start":
            message = dict(mapping(data.get("message")))
            self.message = {**message, "usage": dict(mapping(message.get("usage")))}
        elif event.name == "content_block_start" and isinstance(index, int):
            self.blocks[index] = dict(mapping(data.get("content_block")))
            if str(self.blocks[index].get("type", "")).endswith("tool_use"):
                self._token(event)
        elif event.name == "content_block_delta" and isinstance(index, int):
            self._token(event)
            self._add_delta(index, mapping(data.get("delta")))
        elif event.name == "message_delta":
            self._add_end(data)
        elif event.name == "message_stop":
            self.is_whole = True
        elif event.name == "error":
            self.error = error_of(data, "stream_error", "")

    def _token(self, event: Event) -> None:
        if self.first_token_at is None:
            self.first_token_at = event.at

    def _add_delta(self, index: int, delta: Json) -> None:
        block, kind = self.blocks.setdefault(index, {}), delta.get("type")
        if kind == "input_json_delta":
            self.inputs[index] = self.inputs.get(index, "") + (
                text(delta.get("partial_json")) or ""
            )
        elif kind == "citations_delta":
            block["citations"] = [*(block.get("citations") or []), delta.get("citation")]
        else:
            # text_delta, thinking_delta, signature_delta: each brings one piece under its own name.
            for name in ("text", "thinking", "signature"):
                if text(delta.get(name)):
                    block[name] = (text(block.get(name)) or "") + delta[name]

    def _add_end(self, data: Json) -> None:
        if self.message is None:
            self.message = {"usage": {}}
        given = {key: value for key, value in mapping(data.get("delta")).items() if value}
        usage = {
            key: value for key, value in mapping(data.get("usage")).items() if value is not None
        }
        # Counts are running totals: they replace, they are never added.
        self.message = {**self.message, **given, "usage": {**self.message["usage"], **usage}}

    def content(self) -> Any:
        for index, written in self.inputs.items():
            if written:
                value = json_of(written.encode("utf-8", "replace"))
                self.blocks[index]["input"] = written if value is None else value
        return [block for _, block in by_index(self.blocks)]


def fold_message(events: Iterable[Event]) -> Answer:
    """A message from the events of its stream."""
    fold = _Fold()
    for event in events:
        fold.add(event)
    message = fold.message and {**fold.message, "content": fold.content()}
    answer = read_message(message) if message else Answer()
    if not fold.is_whole:
        answer.usage, answer.is_whole = None, False
    answer.error, answer.first_token_at = fold.error, fold.first_token_at
    return answer
