"""The texts, images and tool results in a request's messages, whatever its dialect calls them (pure)."""

from typing import Any

import msgspec

from gateway.dialects.tokens import (
    MOST_UNSEEN,
    PER_TURN,
    tokens_in,
    tokens_in_bytes,
    tokens_in_media,
)

# Part's `type` -> what it is counted as.
_MEDIA = {
    "image_url": "image", "input_image": "image", "image": "image", "computer_screenshot": "image",
    "input_audio": "audio", "audio": "audio", "file": "file", "input_file": "file",
    "document": "file",
}  # fmt: skip
_TEXT_KEYS = ("text", "refusal", "thinking")
_SYSTEM_ROLES = frozenset({"system", "developer"})
MAX_DEPTH = 8
# Fields of Responses that stand for input the provider has and we do not see.
_KEPT_THERE = ("previous_response_id", "conversation", "prompt")

_encode = msgspec.json.encode


class ContentError(ValueError):
    """A field that is not what its dialect asks for."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


class Turn(msgspec.Struct, frozen=True):
    """One message's text. Roles are user, assistant and tool; what is said to the model first is `system`."""

    role: str
    text: str


class Reading:
    """What a reader collects; measured at its end."""

    __slots__ = (
        "has_images", "json_bytes", "media_most", "media_tokens", "system", "token_ids", "turns",
    )  # fmt: skip

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.system: list[str] = []
        self.has_images = False
        self.media_tokens = 0
        self.media_most = 0
        self.json_bytes = 0  # tool definitions, calls and results that are no text
        self.token_ids = 0  # input given as token numbers

    @property
    def last_user_text(self) -> str:
        for turn in reversed(self.turns):
            if turn.role == "user":
                return turn.text
        return ""

    def measure(self) -> tuple[int, int]:
        """Estimated tokens of everything, and bytes of its text (media count as the most tokens they can have)."""
        tokens = self.media_tokens + self.token_ids + PER_TURN * len(self.turns)
        size = tokens - self.media_tokens + self.media_most + self.json_bytes
        tokens += -(-self.json_bytes // 4)
        for text in [turn.text for turn in self.turns] + self.system:
            tokens += tokens_in(text)
            size += len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        return tokens, size

    def add(self, role: str, content: Any, field: str) -> None:
        """One message of `content`: text, or a list of parts, or nothing."""
        if type(content) is str:
            text = content
        elif content is None:
            text = ""
        elif type(content) is list:
            texts: list[str] = []
            self._parts(content, texts, field, 0)
            text = texts[0] if len(texts) == 1 else "\n".join(texts)
        else:
            raise ContentError(field, "It must be text or a list of parts.")
        if role in _SYSTEM_ROLES:
            self.system.append(text)
        else:
            self.turns.append(Turn(role, text))

    def _parts(self, parts: list[Any], texts: list[str], field: str, depth: int) -> None:
        for place, part in enumerate(parts):
            if type(part) is str:
                texts.append(part)
            elif type(part) is not dict:
                raise ContentError(f"{field}.{place}", "It must be an object.")
            else:
                self._part(part, texts, f"{field}.{place}", depth)

    def _part(self, part: dict[str, Any], texts: list[str], field: str, depth: int) -> None:
        for key in _TEXT_KEYS:
            text = part.get(key)
            if type(text) is str:
                texts.append(text)
                return
        name = part.get("type")
        kind = _MEDIA.get(name) if type(name) is str else None
        if kind is not None:
            about, most = tokens_in_media(kind, part)
            self.media_tokens += about
            self.media_most += most
            self.has_images = self.has_images or kind == "image"
            return
        inner = part.get("content") or part.get("output")
        if type(inner) is str:
            texts.append(inner)
        elif type(inner) is list and depth < MAX_DEPTH:
            self._parts(inner, texts, f"{field}.content", depth + 1)
        else:
            self.json_bytes += len(_encode(part))


def read_chat(document: dict[str, Any], reading: Reading) -> None:
    """Chat Completions' `messages`."""
    for place, message in enumerate(_objects(document, "messages")):
        role = message.get("role")
        if type(role) is not str:
            raise ContentError(f"messages.{place}.role", "It must be text.")
        reading.add(
            "tool" if role == "function" else role,
            message.get("content"),
            f"messages.{place}.content",
        )
        calls = message.get("tool_calls") or message.get("function_call")
        if calls:
            reading.json_bytes += len(_encode(calls))


def read_messages(document: dict[str, Any], reading: Reading) -> None:
    """Anthropic's `system` and `messages`. A message of nothing but tool results is a tool's turn."""
    if document.get("system"):
        reading.add("system", document["system"], "system")
    for place, message in enumerate(_objects(document, "messages")):
        role, content = message.get("role"), message.get("content")
        if role not in ("user", "assistant", "system"):
            raise ContentError(f"messages.{place}.role", "It must be user, assistant or system.")
        if role == "user" and type(content) is list and content and all(map(_is_result, content)):
            role = "tool"
        reading.add(role, content, f"messages.{place}.content")


def _is_result(part: Any) -> bool:
    return type(part) is dict and part.get("type") == "tool_result"


def read_responses(document: dict[str, Any], reading: Reading) -> None:
    """Responses' `instructions` and `input`: text, or items of which some are messages."""
    if any(document.get(name) for name in _KEPT_THERE):
        reading.media_most += MOST_UNSEEN
    if type(document.get("instructions")) is str and document["instructions"]:
        reading.add("system", document["instructions"], "instructions")
    given = document.get("input")
    if type(given) is str:
        reading.add("user", given, "input")
        return
    if given is None and (document.get("prompt") or document.get("previous_response_id")):
        return
    for place, item in enumerate(_objects(document, "input")):
        kind = item.get("type")
        if type(kind) is str and kind.endswith("_output"):
            output = item.get("output")
            is_text = type(output) in (str, list)
            reading.add(
                "tool", output if is_text else _encode(output).decode(), f"input.{place}.output"
            )
        elif type(item.get("role")) is str:
            reading.add(item["role"], item.get("content"), f"input.{place}.content")
        else:
            reading.json_bytes += len(_encode(item))


def read_completions(document: dict[str, Any], reading: Reading) -> None:
    """Completions' `prompt`: text, token numbers, or lists of either."""
    _read_inputs(document.get("prompt"), "prompt", reading)


def read_embeddings(document: dict[str, Any], reading: Reading) -> None:
    """Embeddings' `input`: the same, and parts for models that embed images."""
    _read_inputs(document.get("input"), "input", reading)


def _read_inputs(given: Any, field: str, reading: Reading) -> None:
    if type(given) is str:
        reading.add("user", given, field)
        return
    if type(given) is not list or not given:
        raise ContentError(field, "It must be text, or a list that is not empty.")
    for place, one in enumerate(given):
        if type(one) is str:
            reading.add("user", one, field)
        elif type(one) is int:
            reading.token_ids += 1
        elif type(one) is list:
            reading.token_ids += len(one)
        elif type(one) is dict:
            reading.add("user", [one], field)
        else:
            raise ContentError(f"{field}.{place}", "It must be text or token numbers.")


def _objects(document: dict[str, Any], field: str) -> list[dict[str, Any]]:
    found = document.get(field)
    if type(found) is not list or not found:
        raise ContentError(field, "It must be a list that is not empty.")
    for place, one in enumerate(found):
        if type(one) is not dict:
            raise ContentError(f"{field}.{place}", "It must be an object.")
    return found


def json_tokens(value: Any) -> int:
    """Estimated tokens of a value as JSON."""
    return tokens_in_bytes(_encode(value))
