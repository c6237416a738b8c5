"""What a request says, read once at the door: for routing, limits, caches and guards (pure).

Only fields read here are checked; all others are the provider's to judge and pass through as they came.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from gateway.dialects import contents
from gateway.dialects.contents import Reading, Turn
from gateway.structs import Dialect

MAX_MODEL_CHARS = 200
MAX_CHOICES = 128
MAX_TOKENS = 10_000_000
# A response to a request that says no limit of its own is still limited by its model.
_LIMITS: dict[Dialect, tuple[str, ...]] = {
    Dialect.CHAT: ("max_completion_tokens", "max_tokens"),
    Dialect.RESPONSES: ("max_output_tokens",),
    Dialect.COMPLETIONS: ("max_tokens",),
    Dialect.MESSAGES: ("max_tokens",),
}

_NEVER_STREAMED = (Dialect.EMBEDDINGS, Dialect.COUNT_TOKENS)

_decode = msgspec.json.decode
_canonical = msgspec.json.Encoder(order="sorted").encode


class RequestError(ValueError):
    """The body is not what the dialect asks for; `field` is empty when the whole body is at fault."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


class RequestFacts(msgspec.Struct, kw_only=True):
    """A request in words all dialects share. `document` is the parsed body; change a copy, never it."""

    dialect: Dialect
    model: str
    document: dict[str, Any]
    is_stream: bool = False
    # Whether a stream is to carry usage; only Chat Completions and Completions have to be asked.
    wants_usage: bool = True
    user: str = ""
    session: str = ""
    service_tier: str = ""
    speed: str = ""  # Anthropic's: fast costs more
    max_output_tokens: int | None = None  # of one choice
    choices: int = 1
    turns: list[Turn]
    system: str = ""
    last_user_text: str = ""
    tools: bytes = b""  # canonical JSON
    has_tools: bool = False
    has_images: bool = False
    input_tokens: int = 0  # estimated
    # Of all text, tools included: no tokenizer makes more tokens of it than it has bytes. Images, files and what the
    # provider keeps of a conversation count as the most tokens they can have.
    input_bytes: int = 0
    tags: tuple[str, ...] = ()
    metadata: dict[str, str] = {}


_READERS: dict[Dialect, Callable[[dict[str, Any], Reading], None]] = {
    Dialect.CHAT: contents.read_chat,
    Dialect.RESPONSES: contents.read_responses,
    Dialect.COMPLETIONS: contents.read_completions,
    Dialect.EMBEDDINGS: contents.read_embeddings,
    Dialect.MESSAGES: contents.read_messages,
    Dialect.COUNT_TOKENS: contents.read_messages,
}


def facts_of(dialect: Dialect, body: bytes) -> RequestFacts:
    """The facts of a request's body. Raises RequestError naming the field at fault."""
    document = _document(body)
    reading = Reading()
    try:
        _READERS[dialect](document, reading)
    except contents.ContentError as error:
        raise RequestError(error.field, error.message) from None
    is_stream = _flag(document, "stream") and dialect not in _NEVER_STREAMED
    facts = RequestFacts(
        dialect=dialect,
        model=_model(document),
        document=document,
        is_stream=is_stream,
        wants_usage=_wants_usage(dialect, document),
        max_output_tokens=output_limit(dialect, document),
        choices=_choices(dialect, document),
        turns=reading.turns,
        system="\n".join(reading.system),
        last_user_text=reading.last_user_text,
        has_images=reading.has_images,
    )
    _add_tools(facts, document, reading)
    facts.input_tokens, facts.input_bytes = reading.measure()
    _add_origin(facts, document)
    return facts


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = _decode(body)
    except RecursionError:
        raise RequestError("", "The body is nested too deeply.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError("", f"The body is not valid JSON: {error}.") from None
    if type(document) is not dict:
        raise RequestError("", "The body must be a JSON object.")
    return document


def _model(document: dict[str, Any]) -> str:
    model = document.get("model")
    if model is None:
        raise RequestError("model", "Say which model the request is for.")
    if type(model) is not str or not 0 < len(model) <= MAX_MODEL_CHARS:
        raise RequestError("model", f"It must be text of 1 to {MAX_MODEL_CHARS} characters.")
    return model


def _flag(document: dict[str, Any], name: str) -> bool:
    value = document.get(name)
    if value is not None and type(value) is not bool:
        raise RequestError(name, "It must be true or false.")
    return bool(value)


def _whole(document: dict[str, Any], name: str, least: int, most: int) -> int | None:
    value = document.get(name)
    if value is None:
        return None
    if type(value) is not int or not least <= value <= most:
        raise RequestError(name, f"It must be a whole number from {least} to {most}.")
    return value


def output_limit(dialect: Dialect, document: dict[str, Any]) -> int | None:
    """The stated limit of the output; the first of its names counts, as OpenAI reads it."""
    if dialect in (Dialect.EMBEDDINGS, Dialect.COUNT_TOKENS):
        return 0
    least = 0 if dialect is Dialect.MESSAGES else 1
    stated = [
        # -1 is how LM Studio and llama.cpp say "no limit".
        None if document.get(name) == -1 else _whole(document, name, least, MAX_TOKENS)
        for name in _LIMITS[dialect]
    ]
    found = next((value for value in stated if value is not None), None)
    if found is None and dialect is Dialect.MESSAGES:
        raise RequestError("max_tokens", "Field required.")
    return found


def _choices(dialect: Dialect, document: dict[str, Any]) -> int:
    if dialect not in (Dialect.CHAT, Dialect.COMPLETIONS):
        return 1
    asked = _whole(document, "n", 1, MAX_CHOICES) or 1
    if dialect is Dialect.CHAT:
        return asked
    prompt = document.get("prompt")
    prompts = len(prompt) if type(prompt) is list and type(prompt[0]) is not int else 1
    return max(asked, _whole(document, "best_of", 1, MAX_CHOICES) or 1) * prompts


def _wants_usage(dialect: Dialect, document: dict[str, Any]) -> bool:
    if dialect not in (Dialect.CHAT, Dialect.COMPLETIONS):
        return True
    options = document.get("stream_options")
    if options is None:
        return False
    if type(options) is not dict:
        raise RequestError("stream_options", "It must be an object.")
    return bool(options.get("include_usage"))


def _add_tools(facts: RequestFacts, document: dict[str, Any], reading: Reading) -> None:
    tools = document.get("tools") or document.get("functions")
    if not tools:
        return
    if type(tools) is not list:
        raise RequestError("tools", "It must be a list.")
    facts.tools = _canonical(tools)
    facts.has_tools = True
    reading.json_bytes += len(facts.tools)


def _add_origin(facts: RequestFacts, document: dict[str, Any]) -> None:
    """Who asks and for what, as far as the body says: OpenAI's, Anthropic's and LiteLLM's places."""
    tier = document.get("service_tier")
    facts.service_tier = tier if type(tier) is str else ""
    speed = document.get("speed")
    facts.speed = speed if type(speed) is str and facts.dialect.is_anthropic else ""
    metadata = document.get("metadata")
    user = document.get("user") or document.get("safety_identifier")
    tags = document.get("tags")
    session = document.get("litellm_session_id")
    if type(metadata) is dict:
        if facts.dialect.is_anthropic:
            user = metadata.get("user_id")
        session = session or metadata.get("session_id")
        tags = tags or metadata.get("tags")
        facts.metadata = {
            key: value for key, value in metadata.items() if type(value) is str and key != "user_id"
        }
    facts.user = user if type(user) is str else ""
    facts.session = session if type(session) is str else ""
    if facts.dialect.is_anthropic and facts.user:
        facts.user, inner = who_and_session(facts.user)
        facts.session = facts.session or inner
    if type(tags) is list:
        facts.tags = tuple(tag for tag in tags if type(tag) is str and tag)


def who_and_session(user: str) -> tuple[str, str]:
    """Claude Code puts its session into the end user's name: as JSON, before 2.1.78 as `user_…_session_…`. Apart, so
    that limits per user count one user, and sessions are sessions."""
    if user.startswith("{"):
        try:
            found = _decode(user.encode())
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            return user, ""
        who = found.get("account_uuid") or found.get("device_id")
        session = found.get("session_id")
        return (
            who if type(who) is str else user,
            session if type(session) is str else "",
        )
    who, mark, session = user.rpartition("_session_")
    return (who, session) if mark and who else (user, "")
