"""Anthropic Messages: blocks whose deltas add up, and usage that replaces what was said before (pure)."""

from typing import Any

import msgspec

from gateway.dialects.collect_chat import merged, place_of, text_of
from gateway.dialects.collected import Collector
from gateway.dialects.errors import classify
from gateway.dialects.sse import Event
from gateway.structs import Dialect

# Delta's type -> the block's field it grows. Others (citations, ones to come) are read by their own keys.
_FIELDS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
_TEXTS = ("text", "thinking", "partial_json")


class _Block:
    """One content block; its texts are joined at the end."""

    __slots__ = ("pieces", "start")

    def __init__(self, start: dict[str, Any]) -> None:
        self.start = start
        self.pieces: dict[str, list[str]] = {}

    def add(self, delta: dict[str, Any]) -> None:
        field = _FIELDS.get(delta["type"])
        if field is not None:
            self.pieces.setdefault(field, []).append(text_of(delta[field]))
        elif delta["type"] == "citations_delta":
            known = self.start.get("citations") or []
            self.start["citations"] = [*known, delta.get("citation")]
        else:
            for key, value in delta.items():
                if key in _TEXTS:
                    text_of(value)
                if key != "type":
                    self.start[key] = merged(self.start.get(key), value)

    def made(self) -> dict[str, Any]:
        made = dict(self.start)
        for field, pieces in self.pieces.items():
            text = "".join(pieces)
            if field == "partial_json":
                made["input"] = parsed_input(text)
            else:
                made[field] = (made.get(field) or "") + text
        return made


def parsed_input(text: str) -> dict[str, Any]:
    """A tool call's arguments; ones cut off in the middle are kept as they came."""
    if not text.strip():
        return {}
    try:
        found = msgspec.json.decode(text.encode("utf-8", "surrogatepass"))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        found = None
    return found if type(found) is dict else {"partial_json": text}


class MessagesCollector(Collector, dialects=(Dialect.MESSAGES,)):
    """Anthropic Messages."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        self._message: dict[str, Any] = {}
        self._blocks: dict[int, _Block] = {}

    def _read(self, document: dict[str, Any], event: Event) -> None:
        kind = document.get("type")
        if kind == "content_block_delta":
            self._block(document["index"]).add(document["delta"])
        elif kind == "content_block_start":
            self._blocks[place_of(document["index"])] = _Block(dict(document["content_block"]))
        elif kind == "message_start":
            self._message = dict(document["message"])
            self._take_head(self._message)
            self._take_usage(self._message.get("usage"))
        elif kind == "message_delta":
            self._read_delta(document)
        elif kind == "message_stop":
            self.is_done = True
        elif kind == "error":
            self.error = classify(self.dialect, 200, event.data)

    def _block(self, index: int) -> _Block:
        """The block; one whose start was lost begins as text."""
        block = self._blocks.get(index)
        if block is None:
            block = self._blocks[place_of(index)] = _Block({"type": "text", "text": ""})
        return block

    def _read_delta(self, document: dict[str, Any]) -> None:
        delta = document.get("delta") or {}
        self._message.update((key, value) for key, value in delta.items() if value is not None)
        if delta.get("stop_reason"):
            self.finish_reason = delta["stop_reason"]
        self._take_usage(document.get("usage"))

    def _take_usage(self, usage: Any) -> None:
        """Counts are cumulative: each that is stated replaces the one before, never adds; zero takes nothing back."""
        if type(usage) is not dict:
            return
        known = self.raw_usage or {}
        changed = {
            key: value
            for key, value in usage.items()
            if value is not None and (value != 0 or not known.get(key))
        }
        self.raw_usage = {**known, **changed}
        self._usage = None
        tier = self.raw_usage.get("service_tier")
        if type(tier) is str:
            self.service_tier = tier

    def _read_whole(self, document: dict[str, Any]) -> None:
        self._message = document
        self.finish_reason = document.get("stop_reason") or ""
        self._take_usage(document.get("usage"))
        for index, block in enumerate(document.get("content") or ()):
            self._blocks[index] = _Block(block)

    def _has_ended(self) -> bool:
        return self.is_done or bool(self.finish_reason)

    def _text(self) -> str:
        return "\n".join(
            text for block in self._blocks.values() if (text := _text_of(block, ("text",)))
        )

    def _generated(self) -> str:
        parts = [_text_of(block, _TEXTS) for block in self._blocks.values()]
        for block in self._blocks.values():
            if block.start.get("input"):
                parts.append(msgspec.json.encode(block.start["input"]).decode())
        return "".join(parts)

    def _answer(self) -> dict[str, Any]:
        blocks = [block.made() for _, block in sorted(self._blocks.items())]
        made = {"type": "message", "role": "assistant", **self._message, "content": blocks}
        made.setdefault("stop_reason", None)
        made.setdefault("stop_sequence", None)
        if self.raw_usage is not None:
            made["usage"] = self.raw_usage
        return made


def _text_of(block: _Block, fields: tuple[str, ...]) -> str:
    texts = [str(block.start.get(field) or "") for field in fields]
    return "".join(texts + [piece for field in fields for piece in block.pieces.get(field, ())])
