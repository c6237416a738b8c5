"""Anthropic clients on Chat Completions: its answers and streams in their shape (pure)."""

from typing import Any

import msgspec

from gateway.dialects.chat_calls import CallPieces
from gateway.dialects.collect_chat import text_of
from gateway.dialects.collect_messages import parsed_input
from gateway.dialects.collected import is_counted
from gateway.dialects.contents import Reading, read_messages
from gateway.dialects.equivalents import messages_usage, stop_of_finish
from gateway.dialects.messages_to_chat import chat_request
from gateway.dialects.passing import Translating
from gateway.dialects.sse import Event
from gateway.dialects.tokens import tokens_in
from gateway.dialects.tool_ids import packed_id
from gateway.structs import Dialect

_encode = msgspec.json.encode
_REASONING = ("reasoning_content", "reasoning")


class MessagesOverChat(Translating):
    """An Anthropic client, a provider on Chat Completions."""

    def __init__(self, *, kind: str, created: int) -> None:
        super().__init__(Dialect.MESSAGES, Dialect.CHAT, created=created)
        self._kind = kind
        self._is_started = False
        self._block = -1  # the open block's index
        self._open = ""  # its kind; empty: none is open
        self._next_block = 0
        self._pieces = CallPieces()
        self._calls: dict[int, int] = {}  # a call's number -> its block
        self._finish: Any = None
        self._stop_text: Any = None
        self._usage: dict[str, Any] | None = None
        self._output_chars: list[str] = []
        self._is_refused = False

    def _request(self, document: dict[str, Any], model: str) -> dict[str, Any]:
        return chat_request(document, model=model, kind=self._kind, dropped=self.dropped)

    @property
    def _shows_thinking(self) -> bool:
        """Only who asked for thinking expects such blocks; others read the first block as text."""
        thinking = self._asked.get("thinking")
        return type(thinking) is dict and thinking.get("type") not in (None, "disabled")

    # --- Whole

    def _answer(self, document: dict[str, Any]) -> dict[str, Any]:
        choice = document["choices"][0]
        message = choice["message"]
        blocks: list[dict[str, Any]] = []
        thought = next((message[name] for name in _REASONING if message.get(name)), "")
        if thought and self._shows_thinking:
            blocks.append({"type": "thinking", "thinking": thought, "signature": ""})
        text = message.get("content")
        if type(text) is list:
            text = "".join(part.get("text") or "" for part in text)
        text = text or message.get("refusal")
        if text:
            blocks.append({"type": "text", "text": text})
        calls = message.get("tool_calls") or ()
        blocks += [_tool_use(call) for call in calls]
        self._finish = "content_filter" if message.get("refusal") else choice.get("finish_reason")
        self._stop_text = choice.get("stop_reason")
        usage = document.get("usage")
        self._usage = usage if type(usage) is dict and is_counted(usage) else None
        self._output_chars = [_encode(blocks).decode()] if not self._usage else []
        stop, stop_sequence = self._stop(has_calls=bool(calls))
        return {
            **self._message(document),
            "content": blocks,
            "stop_reason": stop,
            "stop_sequence": stop_sequence,
            "usage": self._made_usage(),
        }

    def _message(self, document: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": document.get("id") or "",
            "type": "message",
            "role": "assistant",
            "model": document.get("model") or "",
        }

    def _stop(self, *, has_calls: bool) -> tuple[str, str | None]:
        """Stop reason, and the stop sequence where the server (vLLM) names it."""
        sequences = self._asked.get("stop_sequences")
        if type(sequences) is list and self._finish == "stop" and self._stop_text in sequences:
            return "stop_sequence", self._stop_text
        return stop_of_finish(self._finish, has_calls=has_calls), None

    def _made_usage(self) -> dict[str, Any]:
        """The provider's counts; the wire has no word for unknown ones, so without any they are estimated."""
        if self._usage:
            return messages_usage(self._usage)
        return {**self._first_usage(), "output_tokens": tokens_in("".join(self._output_chars))}

    def _first_usage(self) -> dict[str, Any]:
        reading = Reading()
        if self._asked:
            read_messages(self._asked, reading)
            reading.json_bytes += len(_encode(self._asked.get("tools") or ""))
        tokens, _ = reading.measure()
        return {
            "input_tokens": tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 0,
        }

    # --- Streamed

    def _event(self, document: dict[str, Any], event: Event) -> bytes:
        if document.get("error"):
            return self._failed(event)
        usage = document.get("usage")
        if type(usage) is dict and is_counted(usage):
            self._usage = usage
        choices = document.get("choices")
        if not choices:
            return b""
        made = [] if self._is_started else [self._start(document)]
        choice = choices[0]
        if choice.get("index"):
            return b"".join(made)
        delta = choice.get("delta")
        if delta:
            made.append(self._delta(delta))
        if choice.get("finish_reason"):
            self._finish = choice["finish_reason"]
            self._stop_text = choice.get("stop_reason")
        return b"".join(made)

    def _start(self, document: dict[str, Any]) -> bytes:
        self._is_started = True
        message = {
            **self._message(document),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": self._first_usage(),
        }
        return _frame("message_start", {"message": message})

    def _delta(self, delta: dict[str, Any]) -> bytes:
        content = delta.get("content")
        if content and len(delta) == 1 and self._open == "text":
            return self._text(content)
        made = []
        thought = next((delta[name] for name in _REASONING if delta.get(name)), None)
        if thought and self._shows_thinking:
            thought = text_of(thought)
            made.append(self._opened("thinking", {"thinking": "", "signature": ""}))
            made.append(self._piece("thinking", thought))
        if type(content) is list:
            content = "".join(part.get("text") or "" for part in content)
        self._is_refused = self._is_refused or bool(delta.get("refusal"))
        if content or delta.get("refusal"):
            text = text_of(content or delta["refusal"])
            made.append(self._opened("text", {"text": ""}))
            made.append(self._text(text))
        made += [self._call(call) for call in delta.get("tool_calls") or ()]
        return b"".join(made)

    def _text(self, text: Any) -> bytes:
        return self._piece("text", text_of(text))

    def _piece(self, kind: str, text: str) -> bytes:
        if self._usage is None:
            self._output_chars.append(text)
        return (
            b"event: content_block_delta\n"
            b'data: {"type":"content_block_delta","index":%d,"delta":{"type":"%b_delta","%b":%b}}\n\n'
            % (self._block, kind.encode(), kind.encode(), _encode(text))
        )

    def _opened(self, kind: str, block: dict[str, Any]) -> bytes:
        """Begin a block, unless one of its kind is open; end the one that is."""
        if self._open == kind != "tool_use":
            return b""
        made = self._closed()
        self._open, self._block = kind, self._next_block
        self._next_block += 1
        started = {"index": self._block, "content_block": {"type": kind, **block}}
        return made + _frame("content_block_start", started)

    def _closed(self) -> bytes:
        if not self._open:
            return b""
        made = b""
        if self._open == "thinking":
            delta = {"type": "signature_delta", "signature": ""}
            made = _frame("content_block_delta", {"index": self._block, "delta": delta})
        self._open = ""
        return made + _frame("content_block_stop", {"index": self._block})

    def _call(self, call: dict[str, Any]) -> bytes:
        piece = self._pieces.take(call)
        if piece is None:
            return b""
        made = b""
        if piece.begins is not None:
            name, function = piece.begins
            made = self._opened("tool_use", {"id": name, "name": function, "input": {}})
            self._calls[piece.place] = self._block
        if not piece.arguments:
            return made
        if self._usage is None:
            self._output_chars.append(piece.arguments)
        # Its own block's index, also when another call has begun meanwhile.
        delta = {"type": "input_json_delta", "partial_json": piece.arguments}
        place = {"index": self._calls[piece.place], "delta": delta}
        return made + _frame("content_block_delta", place)

    def end(self) -> bytes:
        if self._is_ended:
            return b""
        self._is_ended = True
        made = [] if self._is_started else [self._start({})]
        made.append(self._closed())
        if self._is_refused:
            self._finish = "content_filter"
        stop, stop_sequence = self._stop(has_calls=bool(self._calls))
        delta = {"stop_reason": stop, "stop_sequence": stop_sequence}
        made.append(_frame("message_delta", {"delta": delta, "usage": self._made_usage()}))
        made.append(_frame("message_stop", {}))
        return b"".join(made)


def _frame(name: str, data: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encode({"type": name, **data}))


def _tool_use(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    given = parsed_input(function.get("arguments") or "")
    return {"type": "tool_use", "id": packed_id(call), "name": function["name"], "input": given}
