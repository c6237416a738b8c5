"""Output items of a response, whole and as the events that build them (pure)."""

from typing import Any

import msgspec

from gateway.dialects.chat_calls import Piece
from gateway.dialects.leftovers import OURS
from gateway.dialects.tool_ids import packed_id

_encode = msgspec.json.encode


def text_part(text: str, annotations: Any = (), logprobs: Any = ()) -> dict[str, Any]:
    """A text in a message."""
    lists = {"annotations": [*annotations], "logprobs": [*logprobs]}
    return {"type": "output_text", "text": text, **lists}


def annotation_of(said: dict[str, Any]) -> dict[str, Any]:
    """Chat Completions' annotation (a source on the web), which has its fields one level deeper."""
    kind = str(said.get("type"))
    return {"type": kind, **said[kind]} if type(said.get(kind)) is dict else said


def message_item(name: str, parts: list[dict[str, Any]], refusal: str | None = None) -> dict[str, Any]:  # fmt: skip
    """An assistant's message."""
    if refusal:
        parts = [*parts, {"type": "refusal", "refusal": refusal}]
    return {
        "type": "message",
        "id": f"msg_{name}",
        "status": "completed",
        "role": "assistant",
        "content": parts,
    }


def reasoning_item(name: str, text: str) -> dict[str, Any]:
    """What the model thought, as open models say it."""
    parts = [{"type": "reasoning_text", "text": text}]
    return {"type": "reasoning", "id": f"{OURS}{name}", "summary": [], "content": parts}


def call_item(name: str, place: int, call: dict[str, Any]) -> dict[str, Any]:
    """A tool call of a whole answer."""
    function = call.get("function") or {}
    known = packed_id(call) or f"call_{place}"
    arguments = function.get("arguments") or ""
    return made_call(name, place, known, function.get("name") or "", arguments, "completed")


def made_call(
    name: str, place: int, call_id: str, function: str, arguments: str, status: str
) -> dict[str, Any]:
    """A tool call's item."""
    return {
        "type": "function_call",
        "id": f"fc_{name}_{place}",
        "call_id": call_id,
        "name": function,
        "arguments": arguments,
        "status": status,
    }


class Items:
    """Builds items from deltas, and the events for them; every event has the next number."""

    def __init__(self) -> None:
        self.number = 0
        self.name = ""
        self.output: list[dict[str, Any]] = []
        self._open: dict[str, Any] | None = None
        self._kind = ""  # text, refusal, reasoning or call:<place>
        self._pieces: list[str] = []
        # What stands beside the open text.
        self._annotations: list[dict[str, Any]] = []
        self._logprobs: list[Any] = []
        # A call's number -> its item's place and itself.
        self._calls: dict[int, tuple[int, dict[str, Any]]] = {}

    def frame(self, kind: str, data: dict[str, Any]) -> bytes:
        """One event."""
        made = {"type": kind, "sequence_number": self.number, **data}
        self.number += 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), _encode(made))

    def text(self, piece: str, logprobs: Any = ()) -> bytes:
        """More of the answer."""
        made = b"" if self._kind == "text" else self._begin_part("text", text_part(""))
        self._pieces.append(piece)
        self._logprobs += logprobs
        where = {**self._where, "content_index": self._part_index}
        return made + self.frame(
            "response.output_text.delta", {**where, "delta": piece, "logprobs": [*logprobs]}
        )

    def annotation(self, said: dict[str, Any]) -> bytes:
        """A source of the text; one that comes after the text has ended is left out."""
        if self._kind.startswith("call:"):
            return b""
        made = b"" if self._kind == "text" else self._begin_part("text", text_part(""))
        one = annotation_of(said)
        data = {
            **self._where,
            "content_index": self._part_index,
            "annotation_index": len(self._annotations),
            "annotation": one,
        }
        self._annotations.append(one)
        return made + self.frame("response.output_text.annotation.added", data)

    def refusal(self, piece: str) -> bytes:
        """More of a refusal."""
        empty = {"type": "refusal", "refusal": ""}
        made = b"" if self._kind == "refusal" else self._begin_part("refusal", empty)
        self._pieces.append(piece)
        where = {**self._where, "content_index": self._part_index}
        return made + self.frame("response.refusal.delta", {**where, "delta": piece})

    def reasoning(self, piece: str) -> bytes:
        """More of what the model thinks."""
        made = b""
        if self._kind != "reasoning":
            item = {**reasoning_item(self.name, ""), "content": []}
            part = {"type": "reasoning_text", "text": ""}
            made = self._begin("reasoning", item) + self._added(part)
        self._pieces.append(piece)
        where = {**self._where, "content_index": 0}
        return made + self.frame("response.reasoning_text.delta", {**where, "delta": piece})

    def call(self, piece: Piece) -> bytes:
        """More of a tool call; what comes after another one began goes to its own item all the same."""
        made = b""
        if piece.begins is not None:
            name, function = piece.begins
            item = made_call(self.name, piece.place, name, function, "", "in_progress")
            made = self._begin(f"call:{piece.place}", item)
            self._calls[piece.place] = (len(self.output), item)
        if not piece.arguments:
            return made
        index, item = self._calls[piece.place]
        item["arguments"] += piece.arguments
        data = {"item_id": item["id"], "output_index": index, "delta": piece.arguments}
        return made + self.frame("response.function_call_arguments.delta", data)

    def end(self, *, is_cut: bool) -> bytes:
        """What ends the item that is open; one that was cut says so. An answer has at least an empty message."""
        is_empty = not self.output and self._open is None
        made = self._begin_part("text", text_part("")) if is_empty else b""
        return made + self._close("incomplete" if is_cut else "completed")

    @property
    def _where(self) -> dict[str, Any]:
        item = self._open or {}
        return {"item_id": item.get("id"), "output_index": len(self.output)}

    @property
    def _part_index(self) -> int:
        return len((self._open or {}).get("content") or ())

    def _begin_part(self, kind: str, part: dict[str, Any]) -> bytes:
        """Begin a part of the message; text and refusal share one."""
        made = b""
        if self._open is not None and self._open["type"] == "message":
            made = self._close_part(self._open)
        else:
            item = {**message_item(self.name, []), "status": "in_progress"}
            made = self._begin(kind, item)
        self._kind = kind
        return made + self._added(part)

    def _added(self, part: dict[str, Any]) -> bytes:
        where = {**self._where, "content_index": self._part_index}
        return self.frame("response.content_part.added", {**where, "part": part})

    def _begin(self, kind: str, item: dict[str, Any]) -> bytes:
        made = self._close("completed")
        self._open, self._kind, self._pieces = item, kind, []
        data = {"output_index": len(self.output), "item": {**item}}
        return made + self.frame("response.output_item.added", data)

    def _close_part(self, item: dict[str, Any]) -> bytes:
        """End the open part of a message or of reasoning and put it into its item."""
        text, where = "".join(self._pieces), {**self._where, "content_index": self._part_index}
        self._pieces = []
        done: dict[str, Any] = {**where, "text": text}
        if self._kind == "refusal":
            part, name = {"type": "refusal", "refusal": text}, "response.refusal.done"
            done = {**where, "refusal": text}
        elif self._kind == "reasoning":
            part, name = {"type": "reasoning_text", "text": text}, "response.reasoning_text.done"
        else:
            part = text_part(text, self._annotations, self._logprobs)
            name, done["logprobs"] = "response.output_text.done", self._logprobs
            self._annotations, self._logprobs = [], []
        made = self.frame(name, done)
        made += self.frame("response.content_part.done", {**where, "part": part})
        item["content"] = [*item["content"], part]
        return made

    def _close(self, status: str) -> bytes:
        item = self._open
        if item is None:
            return b""
        if item["type"] == "function_call":
            data = {**self._where, "name": item["name"], "arguments": item["arguments"]}
            made = self.frame("response.function_call_arguments.done", data)
        else:
            made = self._close_part(item)
        if item["type"] != "reasoning":
            item["status"] = status
        made += self.frame(
            "response.output_item.done", {"output_index": len(self.output), "item": item}
        )
        self.output.append(item)
        self._open, self._kind, self._pieces = None, "", []
        return made
