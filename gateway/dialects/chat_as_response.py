"""Responses clients on Chat Completions: its answers and streams in their shape (pure)."""

from typing import Any

from gateway.dialects.chat_calls import CallPieces
from gateway.dialects.collect_chat import text_of
from gateway.dialects.collected import is_counted
from gateway.dialects.equivalents import responses_usage
from gateway.dialects.passing import Translating
from gateway.dialects.response_items import (
    Items,
    annotation_of,
    call_item,
    message_item,
    reasoning_item,
    text_part,
)
from gateway.dialects.responses_to_chat import chat_request
from gateway.dialects.sse import Event
from gateway.structs import Dialect

_REASONING = ("reasoning_content", "reasoning")
# What a response repeats of its request, and what it says when the request did not.
_REPEATED: dict[str, Any] = {
    "instructions": None, "max_output_tokens": None, "metadata": {}, "parallel_tool_calls": True,
    "previous_response_id": None, "reasoning": None, "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto", "tools": [], "top_p": None, "truncation": "disabled", "user": None,
    "store": False,
}  # fmt: skip
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class ResponsesOverChat(Translating):
    """A Responses client, a provider on Chat Completions."""

    def __init__(self, *, kind: str, created: int) -> None:
        super().__init__(Dialect.RESPONSES, Dialect.CHAT, created=created)
        self._kind = kind
        self._items = Items()
        self._response: dict[str, Any] = {}
        self._finish: Any = None
        self._usage: dict[str, Any] | None = None
        self._tier: Any = None
        self._pieces = CallPieces()

    def _request(self, document: dict[str, Any], model: str) -> dict[str, Any]:
        return chat_request(document, model=model, kind=self._kind, dropped=self.dropped)

    def _next_number(self) -> int:
        return self._items.number

    # --- Whole

    def _answer(self, document: dict[str, Any]) -> dict[str, Any]:
        choice = document["choices"][0]
        message = choice["message"]
        name = document.get("id") or ""
        output = []
        if thought := next((message[one] for one in _REASONING if message.get(one)), ""):
            output.append(reasoning_item(name, thought))
        text, refusal = message.get("content"), message.get("refusal")
        if type(text) is list:
            text = "".join(part.get("text") or "" for part in text)
        if text or refusal or not message.get("tool_calls"):
            sources = [annotation_of(one) for one in _annotations(message)]
            part = text_part(text or "", sources, _logprobs(choice))
            output.append(message_item(name, [part] if text or not refusal else [], refusal))
        calls = message.get("tool_calls") or ()
        output += [call_item(name, place, call) for place, call in enumerate(calls)]
        self._tier = document.get("service_tier")
        self._finish, self._usage = choice.get("finish_reason"), document.get("usage")
        return self._ended(self._opening(document), output)

    def _opening(self, document: dict[str, Any]) -> dict[str, Any]:
        asked = self._asked
        repeated = {
            key: asked[key] if asked.get(key) is not None else value
            for key, value in _REPEATED.items()
        }
        return {
            "id": f"resp_{document.get('id') or ''}",
            "object": "response",
            "created_at": document.get("created") or self._created,
            "status": "in_progress",
            "error": None,
            "incomplete_details": None,
            "model": document.get("model") or "",
            "output": [],
            **repeated,
            "service_tier": document.get("service_tier") or "default",
            "usage": None,
        }

    def _ended(self, opening: dict[str, Any], output: list[dict[str, Any]]) -> dict[str, Any]:
        reason = _INCOMPLETE.get(self._finish) if type(self._finish) is str else None
        ended: dict[str, Any] = {"status": "completed", "output": output}
        if reason:
            if output and "status" in output[-1]:
                output[-1]["status"] = "incomplete"
            ended["status"] = "incomplete"
            ended["incomplete_details"] = {"reason": reason}
        if self._usage:
            ended["usage"] = responses_usage(self._usage)
        if self._tier:
            ended["service_tier"] = self._tier
        return {**opening, **ended}

    # --- Streamed

    def _event(self, document: dict[str, Any], event: Event) -> bytes:
        if document.get("error"):
            return self._failed(event)
        usage = document.get("usage")
        if type(usage) is dict and is_counted(usage):
            self._usage = usage
        self._tier = document.get("service_tier") or self._tier
        choices = document.get("choices")
        if not choices:
            return b""
        made = [] if self._response else [self._start(document)]
        choice = choices[0]
        if choice.get("index"):
            return b"".join(made)
        delta = choice.get("delta")
        if delta:
            made.append(self._delta(delta, _logprobs(choice)))
        finish = choice.get("finish_reason")
        self._finish = finish if type(finish) is str else self._finish
        return b"".join(made)

    def _start(self, document: dict[str, Any]) -> bytes:
        self._response = self._opening(document)
        self._items.name = document.get("id") or ""
        opening = {"response": self._response}
        made = self._items.frame("response.created", opening)
        return made + self._items.frame("response.in_progress", opening)

    def _delta(self, delta: dict[str, Any], logprobs: list[Any]) -> bytes:
        content, items = delta.get("content"), self._items
        if content and len(delta) == 1 and type(content) is str:
            return items.text(content, logprobs)
        made = []
        if thought := next((delta[one] for one in _REASONING if delta.get(one)), None):
            made.append(items.reasoning(text_of(thought)))
        if type(content) is list:
            content = "".join(part.get("text") or "" for part in content)
        if content:
            made.append(items.text(text_of(content), logprobs))
        made += [items.annotation(one) for one in _annotations(delta)]
        if delta.get("refusal"):
            made.append(items.refusal(text_of(delta["refusal"])))
        for call in delta.get("tool_calls") or ():
            piece = self._pieces.take(call)
            if piece is not None:
                made.append(items.call(piece))
        return b"".join(made)

    def end(self) -> bytes:
        if self._is_ended:
            return b""
        self._is_ended = True
        made = [] if self._response else [self._start({})]
        is_cut = self._finish in _INCOMPLETE
        made.append(self._items.end(is_cut=is_cut))
        response = self._ended(self._response, self._items.output)
        made.append(self._items.frame(f"response.{response['status']}", {"response": response}))
        return b"".join(made)


def _logprobs(choice: dict[str, Any]) -> list[dict[str, Any]]:
    """Of the text's tokens; both wires say them alike, but Responses wants each token's bytes."""
    stated = choice.get("logprobs")
    found = stated.get("content") if type(stated) is dict else None
    return _with_bytes(found)


def _with_bytes(tokens: Any) -> list[dict[str, Any]]:
    made = []
    for one in tokens if type(tokens) is list else ():
        if type(one) is dict:
            raw = str(one.get("token") or "").encode("utf-8", "replace")
            made.append({**one, "bytes": one.get("bytes") or [*raw]})
            if "top_logprobs" in one:
                made[-1]["top_logprobs"] = _with_bytes(one["top_logprobs"])
    return made


def _annotations(said: dict[str, Any]) -> list[dict[str, Any]]:
    found = said.get("annotations")
    return [one for one in found if type(one) is dict] if type(found) is list else []
