"""Chat Completions and Completions: choices whose deltas add up (pure)."""

from typing import Any

from gateway.dialects.chat_calls import CallPlaces
from gateway.dialects.collected import Collector, is_counted
from gateway.dialects.errors import classify
from gateway.dialects.sse import Event
from gateway.structs import Dialect


class _Choice:
    """One choice of a stream."""

    __slots__ = ("calls", "content", "finish", "logprobs", "message", "places", "rest")

    def __init__(self) -> None:
        self.content: list[str] = []
        self.message: dict[str, Any] = {}  # all of the deltas but content and calls
        self.calls: dict[int, dict[str, Any]] = {}
        self.places = CallPlaces()
        self.logprobs: dict[str, Any] | None = None
        self.rest: dict[str, Any] = {}  # fields beside the delta
        self.finish: str | None = None

    def add(self, delta: dict[str, Any]) -> None:
        content = delta.get("content")
        if type(content) is str:
            self.content.append(content)
            if len(delta) == 1:
                return
        for key, value in delta.items():
            if value is None or (key == "content" and type(value) is str):
                continue
            if key == "tool_calls":
                self._add_calls(value)
            elif key == "role":
                self.message["role"] = value
            else:
                self.message[key] = merged(self.message.get(key), value)

    def _add_calls(self, calls: list[dict[str, Any]]) -> None:
        for call in calls:
            known = self.calls.setdefault(self.places.place(call), {})
            for key, value in call.items():
                if key == "function" and type(value) is dict:
                    function = known.setdefault("function", {})
                    function.update(
                        (name, text)
                        for name, text in value.items()
                        if text is not None and name != "arguments"
                    )
                    function["arguments"] = merged(
                        function.get("arguments"), value.get("arguments") or ""
                    )
                elif key != "index" and value:
                    known[key] = value


def merged(old: Any, new: Any) -> Any:
    """Two pieces of one field of a stream put together: text and lists grow, objects merge, the rest is replaced."""
    if type(old) is str and type(new) is str:
        return old + new
    if type(old) is list and type(new) is list:
        return old + new
    if type(old) is dict and type(new) is dict:
        both = dict(old)
        for key, value in new.items():
            is_name = key in ("id", "type", "name", "index")
            both[key] = value if is_name else merged(both.get(key), value)
        return both
    return old if new is None else new


def place_of(value: Any) -> int:
    """An index. Raises TypeError for what is none."""
    if type(value) is not int:
        raise TypeError("an index is a whole number")
    return value


def text_of(value: Any) -> str:
    """A piece of text. Raises TypeError for what is none."""
    if type(value) is not str:
        raise TypeError("a piece of text is text")
    return value


class ChatCollector(Collector, dialects=(Dialect.CHAT,)):
    """Chat Completions."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        self._choices: dict[int, _Choice] = {}
        self._head: dict[str, Any] = {}

    def _read(self, document: dict[str, Any], event: Event) -> None:
        usage = document.get("usage")
        if type(usage) is dict and (self.raw_usage is None or is_counted(usage)):
            self.raw_usage, self._usage = usage, None
        choices = document.get("choices")
        if not choices or not self._head or usage:
            self._read_rest(document, event)
        for piece in choices or ():
            index = place_of(piece.get("index") or 0)
            choice = self._choices.get(index)
            if choice is None:
                choice = self._choices[index] = _Choice()
            delta = piece.get("delta")
            if delta:
                choice.add(delta)
            finish = piece.get("finish_reason")
            if finish:
                choice.finish = self.finish_reason = finish
                self._read_rest(document, event)
            if len(piece) > 2:
                self._read_beside(choice, piece)

    def _read_beside(self, choice: _Choice, piece: dict[str, Any]) -> None:
        """What stands beside the delta: log probabilities, text of Completions, Azure's filter results."""
        for key, value in piece.items():
            if value is None or key in ("index", "delta", "finish_reason"):
                continue
            if key == "logprobs":
                choice.logprobs = merged(choice.logprobs, value)
            elif key == "text":
                choice.content.append(text_of(value))
            else:
                choice.rest[key] = value

    def _read_rest(self, document: dict[str, Any], event: Event) -> None:
        """All beside the choices; only at the first chunk, at the ends and where there is news."""
        self._take_head(document)
        for key, value in document.items():
            if value or key not in self._head:
                self._head[key] = value
        if document.get("error"):
            self.error = classify(self.dialect, 200, event.data)

    def _read_whole(self, document: dict[str, Any]) -> None:
        usage = document.get("usage")
        self.raw_usage = usage if type(usage) is dict else None
        for place, piece in enumerate(document.get("choices") or ()):
            choice = self._choices[place_of(piece.get("index", place))] = _Choice()
            message = piece.get("message")
            if type(message) is dict:
                choice.add(message)
            elif type(piece.get("text")) is str:
                choice.content.append(piece["text"])
            choice.finish = piece.get("finish_reason")
            if choice.finish:
                self.finish_reason = choice.finish

    def _has_ended(self) -> bool:
        return self.is_done or (
            bool(self._choices) and all(choice.finish for choice in self._choices.values())
        )

    def _text(self) -> str:
        return "\n".join("".join(choice.content) for choice in self._choices.values())

    def _generated(self) -> str:
        parts: list[str] = []
        for choice in self._choices.values():
            parts += choice.content
            parts += [value for key, value in choice.message.items() if _is_generated(key, value)]
            for call in choice.calls.values():
                function = call.get("function") or {}
                parts += [str(function.get("name", "")), str(function.get("arguments", ""))]
        return "".join(parts)

    def _answer(self) -> dict[str, Any]:
        made = {
            key: value for key, value in self._head.items() if key not in ("obfuscation", "usage")
        }
        made["object"] = "chat.completion"
        made["choices"] = [
            self._made(index, choice) for index, choice in sorted(self._choices.items())
        ]
        if self.raw_usage is not None:
            made["usage"] = self.raw_usage
        return made

    def _made(self, index: int, choice: _Choice) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": None}
        message.update(choice.message)
        if choice.content and (text := "".join(choice.content)):
            message["content"] = text
        elif not choice.calls and message["content"] is None and not message.get("refusal"):
            message["content"] = ""
        message.setdefault("refusal", None)
        if choice.calls:
            message["tool_calls"] = [
                {"type": "function", **call} for _, call in sorted(choice.calls.items())
            ]
        return {
            "index": index,
            "message": message,
            "logprobs": choice.logprobs,
            "finish_reason": choice.finish,
            **choice.rest,
        }


def _is_generated(key: str, value: Any) -> bool:
    return type(value) is str and key in ("refusal", "reasoning_content", "reasoning")


class CompletionsCollector(ChatCollector, dialects=(Dialect.COMPLETIONS,)):
    """Completions: the choices' text is beside, not inside, a message."""

    def _answer(self) -> dict[str, Any]:
        return {**super()._answer(), "object": "text_completion"}

    def _made(self, index: int, choice: _Choice) -> dict[str, Any]:
        return {
            "index": index,
            "text": "".join(choice.content),
            "logprobs": choice.logprobs,
            "finish_reason": choice.finish,
            **choice.rest,
        }
