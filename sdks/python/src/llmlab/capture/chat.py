"""OpenAI's chat completions and the older text completions, whole and streamed."""

from collections.abc import Iterable
from typing import Any

from .answer import Answer, by_index, error_of, mapping, objects, one_or_list, text
from .call import Json
from .wire import Event

# Parts of a message that come in pieces to be joined.
_TEXTS = ("content", "refusal", "reasoning_content", "reasoning")


def read_chat(body: Json) -> Answer:
    """A whole chat completion."""
    answer = _start(body)
    choices = objects(body.get("choices"))
    answer.output = one_or_list([choice["message"] for choice in choices if choice.get("message")])
    return _finish(answer, choices)


def read_completion(body: Json) -> Answer:
    """A whole text completion."""
    answer = _start(body)
    choices = objects(body.get("choices"))
    texts = [choice["text"] for choice in choices if isinstance(choice.get("text"), str)]
    answer.output = one_or_list(texts)
    return _finish(answer, choices)


def _start(body: Json) -> Answer:
    answer = Answer()
    answer.model, answer.response_id = text(body.get("model")), text(body.get("id"))
    answer.service_tier = text(body.get("service_tier"))
    answer.usage = mapping(body.get("usage")) or None
    return answer


def _finish(answer: Answer, choices: list[Json]) -> Answer:
    if choices:
        answer.finish_reason = text(choices[0].get("finish_reason"))
    return answer


class _Choice:
    """One choice of a stream as far as it came."""

    def __init__(self) -> None:
        self.message: Json = {}
        self.calls: dict[int, Json] = {}
        self.finish_reason: Any = None
        self.text = ""

    def add(self, delta: Json) -> bool:
        """Take a delta in; True when it brought something the model wrote."""
        is_token = False
        if "role" not in self.message and text(delta.get("role")):
            self.message["role"] = delta["role"]
        for name in _TEXTS:
            if isinstance(delta.get(name), str):
                self.message[name] = self.message.get(name, "") + delta[name]
                is_token = is_token or delta[name] != ""
        function = mapping(delta.get("function_call"))
        if function:
            _add_function(self.message.setdefault("function_call", {}), function, "arguments")
        calls = objects(delta.get("tool_calls"))
        for call in calls:
            self._add_call(call)
        return is_token or bool(function or calls)

    def _add_call(self, piece: Json) -> None:
        index = piece.get("index")
        if not isinstance(index, int):
            # Without an index a call that names itself is a new one, another goes on with the last.
            index = max(self.calls, default=-1) + (1 if piece.get("id") or not self.calls else 0)
        call = self.calls.setdefault(index, {})
        for name in ("id", "type"):
            if name not in call and text(piece.get(name)):
                call[name] = piece[name]
        for name, pieces in (("function", "arguments"), ("custom", "input")):
            if isinstance(piece.get(name), dict):
                _add_function(call.setdefault(name, {}), piece[name], pieces)

    def whole(self) -> Json:
        """The message; of what a server sends only the keys that came with a value."""
        if self.calls:
            self.message["tool_calls"] = [call for _, call in by_index(self.calls)]
        return self.message


def _add_function(function: Json, piece: Json, pieces: str) -> None:
    if "name" not in function and text(piece.get("name")):
        function["name"] = piece["name"]
    if isinstance(piece.get(pieces), str):
        function[pieces] = function.get(pieces, "") + piece[pieces]


def fold_chat(events: Iterable[Event]) -> Answer:
    """A chat completion from its chunks."""
    answer, choices = _fold(events)
    answer.output = one_or_list([part.whole() for _, part in by_index(choices)])
    return answer


def fold_completion(events: Iterable[Event]) -> Answer:
    """A text completion from its chunks."""
    answer, choices = _fold(events)
    answer.output = one_or_list([part.text for _, part in by_index(choices)])
    return answer


def _fold(events: Iterable[Event]) -> tuple[Answer, dict[int, _Choice]]:
    answer, is_done = Answer(), False
    choices: dict[int, _Choice] = {}
    for event in events:
        is_done = is_done or event.is_done
        if event.data is None:
            continue
        if mapping(event.data.get("error")) or event.name == "error":
            answer.error = error_of(event.data, "stream_error", "")
        _add_head(answer, event.data)
        for choice in objects(event.data.get("choices")):
            if _add_choice(choices, choice) and answer.first_token_at is None:
                answer.first_token_at = event.at
    first = choices[min(choices)] if choices else None
    answer.finish_reason = text(first.finish_reason) if first else None
    answer.is_whole = is_done or (
        bool(choices) and all(choice.finish_reason for choice in choices.values())
    )
    return answer, choices


def _add_head(answer: Answer, chunk: Json) -> None:
    answer.model = answer.model or text(chunk.get("model"))
    answer.response_id = answer.response_id or text(chunk.get("id"))
    answer.service_tier = text(chunk.get("service_tier")) or answer.service_tier
    # Some servers tell the usage so far with each chunk: the last one counts.
    answer.usage = mapping(chunk.get("usage")) or answer.usage


def _add_choice(choices: dict[int, _Choice], piece: Json) -> bool:
    index = piece.get("index")
    choice = choices.setdefault(index if isinstance(index, int) else 0, _Choice())
    choice.finish_reason = piece.get("finish_reason") or choice.finish_reason
    written = piece.get("text")
    if isinstance(written, str):
        choice.text += written
    return choice.add(mapping(piece.get("delta"))) or bool(written)
