"""Responses: the last event carries the whole answer; until then its items and deltas are kept (pure)."""

from typing import Any

from gateway.dialects.collect_chat import place_of, text_of
from gateway.dialects.collected import Collector
from gateway.dialects.errors import classify
from gateway.dialects.sse import Event
from gateway.structs import Dialect

_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
# A delta's type -> the part of its item it grows.
_GROWS = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
    "response.reasoning_text.delta": "reasoning",
    "response.reasoning_summary_text.delta": "summary",
}


class ResponsesCollector(Collector, dialects=(Dialect.RESPONSES,)):
    """Responses."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        self._response: dict[str, Any] = {}
        self._items: dict[int, dict[str, Any]] = {}
        # (output index, content index, field) -> pieces
        self._pieces: dict[tuple[int, int, str], list[str]] = {}

    def _read(self, document: dict[str, Any], event: Event) -> None:
        kind = document.get("type")
        field = _GROWS.get(kind)  # type: ignore[arg-type]
        if field is not None:
            inner = document.get("content_index", document.get("summary_index", 0))
            place = (document.get("output_index", 0), inner, field)
            pieces = self._pieces.get(place)
            if pieces is None:
                place_of(place[0])
                place_of(inner)
                pieces = self._pieces[place] = []
            pieces.append(text_of(document["delta"]))
        elif kind in ("response.output_item.added", "response.output_item.done"):
            self._items[place_of(document["output_index"])] = dict(document["item"])
        elif kind == "error" or (kind is None and document.get("error")):
            self.error = classify(self.dialect, 200, event.data)
        elif type(document.get("response")) is dict:
            self._take_response(document["response"])
            if kind in _ENDS:
                self.is_done = True
                if kind == "response.failed":
                    self.error = classify(self.dialect, 200, event.data)

    def _take_response(self, response: dict[str, Any]) -> None:
        self._response = response
        self._take_head(response)
        usage = response.get("usage")
        if type(usage) is dict:
            self.raw_usage, self._usage = usage, None
        tools = response.get("tool_usage")
        searches = tools.get("web_search") if type(tools) is dict else None
        if type(searches) is dict and type(searches.get("num_requests")) is int:
            self._web_searches = searches["num_requests"]
        reason = response.get("incomplete_details")
        if type(reason) is dict and reason.get("reason"):
            self.finish_reason = reason["reason"]
        elif response.get("status") not in (None, "in_progress", "queued"):
            self.finish_reason = response["status"]

    def _read_whole(self, document: dict[str, Any]) -> None:
        self._take_response(document)

    def _text(self) -> str:
        if self.is_done:
            return "\n".join(
                part["text"]
                for item in self._response.get("output") or ()
                for part in item.get("content") or ()
                if type(part.get("text")) is str and part.get("type") == "output_text"
            )
        return self._joined(("text",))

    def _generated(self) -> str:
        if not self.is_done:
            return self._joined(tuple(_GROWS.values()))
        return "".join(
            text for item in self._response.get("output") or () for text in _generated_in(item)
        )

    def _joined(self, fields: tuple[str, ...]) -> str:
        return "".join(
            piece
            for place, pieces in self._pieces.items()
            if place[2] in fields
            for piece in pieces
        )

    def _answer(self) -> dict[str, Any]:
        if self.is_done:
            return self._response
        output = [self._made(index, item) for index, item in sorted(self._items.items())]
        cut = {"status": "incomplete", "output": output}
        return {"object": "response", **self._response, **cut}

    def _made(self, index: int, item: dict[str, Any]) -> dict[str, Any]:
        """An item as far as it came."""
        if item.get("status") == "completed":
            return item
        made = {**item, "status": "incomplete"}
        parts = []
        for (place, _, field), pieces in sorted(self._pieces.items()):
            if place != index:
                continue
            text = "".join(pieces)
            if field in ("arguments", "input"):
                made[field] = text
            elif field == "text":
                parts.append({"type": "output_text", "text": text, "annotations": []})
            elif field == "reasoning":
                parts.append({"type": "reasoning_text", "text": text})
            elif field == "refusal":
                parts.append({"type": "refusal", "refusal": text})
            elif field == "summary":
                made["summary"] = [*made.get("summary", []), {"type": "summary_text", "text": text}]
        return {**made, "content": parts} if parts else made


def _generated_in(item: dict[str, Any]) -> list[str]:
    found = [item[key] for key in ("arguments", "input") if type(item.get(key)) is str]
    for key in ("content", "summary"):
        for part in item.get(key) or ():
            found += [part[name] for name in ("text", "refusal") if type(part.get(name)) is str]
    return found
