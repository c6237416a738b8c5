"""Chat Completions clients on Anthropic: its answers and streams in their shape (pure)."""

from typing import Any

import msgspec

from gateway.dialects.block_parts import json_text
from gateway.dialects.chat_to_messages import JSON_TOOL, messages_request
from gateway.dialects.equivalents import chat_usage, finish_of_stop
from gateway.dialects.passing import STREAM_END, Translating
from gateway.dialects.sse import Event
from gateway.structs import Dialect

_encode = msgspec.json.encode
_TIERS = {"standard": "default", "priority": "priority"}
_THINKING = ("thinking", "redacted_thinking")


class ChatOverMessages(Translating):
    """A Chat Completions client, a provider on Messages."""

    def __init__(self, *, wants_usage: bool, created: int) -> None:
        super().__init__(Dialect.CHAT, Dialect.MESSAGES, created=created)
        self._wants_usage = wants_usage
        self._uses_json_tool = False
        self._usage: dict[str, Any] = {}
        self._stop: Any = None
        self._head: dict[str, Any] = {}
        self._before = self._after = b""
        # Content block's index -> the tool call's; and what of its input came.
        self._calls: dict[int, int] = {}
        self._has_input: set[int] = set()
        self._json_blocks: set[int] = set()
        self._thoughts: dict[int, dict[str, Any]] = {}

    def _request(self, document: dict[str, Any], model: str) -> dict[str, Any]:
        made, self._uses_json_tool = messages_request(document, model=model, dropped=self.dropped)
        return made

    # --- Whole

    def _answer(self, document: dict[str, Any]) -> dict[str, Any]:
        blocks = document["content"]
        json_calls = [one for one in blocks if self._is_json_tool(one)]
        texts = [one["text"] for one in blocks if one["type"] == "text"]
        texts += [json_text(one["input"]) for one in json_calls]
        calls = [
            _call(one) for one in blocks if one["type"] == "tool_use" and one not in json_calls
        ]
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(texts) or (None if calls else ""),
            "refusal": _refusal(document),
        }
        thoughts = [one for one in blocks if one["type"] in _THINKING]
        if thoughts:
            message["reasoning_content"] = "".join(one.get("thinking", "") for one in thoughts)
            message["thinking_blocks"] = thoughts
        if calls:
            message["tool_calls"] = calls
        finish = self._finish(document.get("stop_reason"))
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
        return {
            **self._made_head(document),
            "object": "chat.completion",
            "choices": [choice],
            "usage": chat_usage(_usage_of(document)),
        }

    def _is_json_tool(self, block: dict[str, Any]) -> bool:
        return (
            self._uses_json_tool and block["type"] == "tool_use" and block.get("name") == JSON_TOOL
        )

    def _finish(self, stop: Any) -> str:
        return "stop" if self._uses_json_tool and stop == "tool_use" else finish_of_stop(stop)

    def _made_head(self, message: dict[str, Any]) -> dict[str, Any]:
        usage = _usage_of(message)
        return {
            "id": message.get("id") or "",
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": message.get("model") or "",
            "service_tier": _TIERS.get(usage.get("service_tier") or "", "default"),
            "system_fingerprint": None,
        }

    # --- Streamed

    def _event(self, document: dict[str, Any], event: Event) -> bytes:
        kind = document.get("type")
        if kind == "content_block_delta":
            return self._delta(document["index"], document["delta"])
        if kind == "content_block_start":
            return self._start_block(document["index"], document["content_block"])
        if kind == "content_block_stop":
            return self._stop_block(document["index"])
        if kind == "message_start":
            return self._start(document["message"])
        if kind == "message_delta":
            self._take_usage(document.get("usage"))
            self._stop = document["delta"].get("stop_reason") or self._stop
            said = _refusal(document["delta"])
            return self._chunk(b'"refusal":' + _encode(said)) if said else b""
        if kind == "message_stop":
            return self.end()
        return self._failed(event) if kind == "error" else b""

    def _start(self, message: dict[str, Any]) -> bytes:
        self._take_usage(message.get("usage"))
        self._head = self._made_head(message)
        # All chunks but the last look alike: only the delta between these two differs.
        self._before = b"data: " + _encode(self._head)[:-1] + b',"choices":[{"index":0,"delta":{'
        rest = b'],"usage":null}' if self._wants_usage else b"]}"
        self._after = b'},"logprobs":null,"finish_reason":null}' + rest + b"\n\n"
        return self._chunk(b'"role":"assistant","content":"","refusal":null')

    def _chunk(self, delta: bytes) -> bytes:
        if not self._before:
            self._start({})  # a stream whose start was lost
        return self._before + delta + self._after

    def _delta(self, index: int, delta: dict[str, Any]) -> bytes:
        kind = delta["type"]
        if kind == "text_delta":
            return self._chunk(b'"content":' + _encode(delta["text"]))
        if kind == "input_json_delta":
            return self._input(index, delta["partial_json"])
        if kind == "thinking_delta":
            thought = self._thoughts.get(index)
            if thought is not None:
                thought["thinking"] = thought.get("thinking", "") + delta["thinking"]
            return self._chunk(b'"reasoning_content":' + _encode(delta["thinking"]))
        if kind == "signature_delta" and index in self._thoughts:
            self._thoughts[index]["signature"] = delta["signature"]
        return b""

    def _input(self, index: int, piece: str) -> bytes:
        if not piece:
            return b""
        self._has_input.add(index)
        if index in self._json_blocks:
            return self._chunk(b'"content":' + _encode(piece))
        call = {"index": self._calls[index], "function": {"arguments": piece}}
        return self._chunk(b'"tool_calls":' + _encode([call]))

    def _start_block(self, index: int, block: dict[str, Any]) -> bytes:
        kind = block["type"]
        if kind in _THINKING:
            self._thoughts[index] = dict(block)
        elif kind == "text" and block.get("text"):
            return self._chunk(b'"content":' + _encode(block["text"]))
        elif kind == "tool_use" and self._is_json_tool(block):
            self._json_blocks.add(index)
        elif kind == "tool_use":
            number = self._calls[index] = len(self._calls)
            function = {"name": block["name"], "arguments": ""}
            call = {"index": number, "id": block["id"], "type": "function", "function": function}
            made = self._chunk(b'"tool_calls":' + _encode([call]))
            given = block.get("input")
            return made + (self._input(index, json_text(given)) if given else b"")
        return b""

    def _stop_block(self, index: int) -> bytes:
        thought = self._thoughts.get(index)
        if thought is not None:
            return self._chunk(b'"thinking_blocks":' + _encode([thought]))
        if (index in self._calls or index in self._json_blocks) and index not in self._has_input:
            return self._input(index, "{}")
        return b""

    def _take_usage(self, usage: Any) -> None:
        if type(usage) is dict:
            self._usage.update(
                (key, value)
                for key, value in usage.items()
                if value is not None and (value != 0 or key not in self._usage)
            )

    def end(self) -> bytes:
        if self._is_ended:
            return b""
        self._is_ended = True
        rest: dict[str, Any] = {"usage": None} if self._wants_usage else {}
        finish = self._finish(self._stop)
        choice = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": finish}
        made = [_frame({**self._head, "choices": [choice], **rest})]
        if self._wants_usage:
            made.append(_frame({**self._head, "choices": [], "usage": chat_usage(self._usage)}))
        return b"".join([*made, STREAM_END])


def _frame(document: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % _encode(document)


def _call(block: dict[str, Any]) -> dict[str, Any]:
    function = {"name": block["name"], "arguments": json_text(block.get("input") or {})}
    return {"id": block["id"], "type": "function", "function": function}


def _refusal(document: dict[str, Any]) -> str | None:
    details = document.get("stop_details")
    return details.get("explanation") if type(details) is dict else None


def _usage_of(message: dict[str, Any]) -> dict[str, Any]:
    """What is no usage is none: the answer counts all the same."""
    usage = message.get("usage")
    return usage if type(usage) is dict else {}
