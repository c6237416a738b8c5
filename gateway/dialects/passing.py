"""Equal wires: everything passes as it came, known or not (pure). The base of all translators."""

from typing import Any

import msgspec

from gateway.dialects.collected import SHAPE_ERRORS
from gateway.dialects.errors import classify, error_event
from gateway.dialects.facts import RequestError
from gateway.dialects.leftovers import clean_chat, clean_messages, clean_responses
from gateway.dialects.sse import DONE, Event, frame
from gateway.structs import Dialect

STREAM_END = frame(DONE)


class TranslationError(RequestError):
    """The request asks for something the other wire cannot say; `field` names it."""


class Translator:
    """Serves one attempt: `request` once, then `answer`, or `event` for each event and `end` when the stream ended as
    it should; `fail` when it did not."""

    def __init__(self, client: Dialect, provider: Dialect) -> None:
        self.client = client
        self.provider = provider
        # Fields of the request the other wire knows nothing of and that only hint: left out.
        self.dropped: list[str] = []
        self._last: Event | None = None

    def request(self, document: dict[str, Any], *, model: str) -> dict[str, Any]:
        """The body for the provider; `document` stays as it is. Raises TranslationError."""
        made = {**document, "model": model}
        _drop_tags(made)
        if self.provider is Dialect.MESSAGES:
            clean_messages(made)
        elif self.provider is Dialect.RESPONSES:
            clean_responses(made)
        return made

    def answer(self, body: bytes) -> bytes:
        """The client's body for the provider's."""
        return body

    def event(self, event: Event) -> bytes:
        """What the client gets for an event: none, one or several of its own."""
        self._last = event
        return event.raw

    def end(self) -> bytes:
        """What the client still gets when the provider's stream came to its end."""
        return b""

    def fail(self, *, status: int, code: str, message: str, request_id: str = "") -> bytes:
        """The last event of a stream that broke."""
        return error_event(
            self.client,
            status=status,
            code=code,
            message=message,
            request_id=request_id,
            sequence_number=self._next_number(),
        )

    def _next_number(self) -> int:
        document = self._last.document if self._last is not None else None
        number = (document or {}).get("sequence_number")
        return number + 1 if type(number) is int else 0


class ChatPassing(Translator):
    """Chat Completions and Completions: usage is always asked for, and hidden from who did not ask."""

    def __init__(
        self, client: Dialect, provider: Dialect, *, wants_usage: bool, kind: str = ""
    ) -> None:
        super().__init__(client, provider)
        self._kind = kind
        self._hides_usage = not wants_usage
        self._is_ended = False

    def request(self, document: dict[str, Any], *, model: str) -> dict[str, Any]:
        made = super().request(document, model=model)
        if made.get("stream"):
            made["stream_options"] = {**(made.get("stream_options") or {}), "include_usage": True}
        clean_chat(made, self._kind)
        return made

    def event(self, event: Event) -> bytes:
        data = event.data
        if data == DONE:
            self._is_ended = True
        elif self._hides_usage and b'"usage"' in data:
            document = event.document
            # Only the chunk that is there for the usage: one with a choice in it (LiteLLM's last) is an answer.
            if document is not None and document.get("usage") and not document.get("choices"):
                return b""
        elif b'"error"' in data and event.document and event.document.get("error"):
            self._is_ended = True
        return event.raw

    def end(self) -> bytes:
        """The end mark, for servers that leave it out."""
        return b"" if self._is_ended else STREAM_END


class Translating(Translator):
    """The base of translators between two wires: what nobody foresaw in a request is the request's fault."""

    def __init__(self, client: Dialect, provider: Dialect, *, created: int) -> None:
        super().__init__(client, provider)
        self._created = created
        # The client's request, for what its answer repeats.
        self._asked: dict[str, Any] = {}
        self._is_ended = False

    def request(self, document: dict[str, Any], *, model: str) -> dict[str, Any]:
        self._asked = document
        self.dropped = []
        try:
            return self._request(document, model)
        except TranslationError:
            raise
        except SHAPE_ERRORS as error:
            text = f"A field has a shape that cannot be translated for this model ({error})."
            raise TranslationError("", text) from None

    def answer(self, body: bytes) -> bytes:
        """The client's body for the provider's. Raises ValueError for a body that is no answer."""
        try:
            document = msgspec.json.decode(body)
            return msgspec.json.encode(self._answer(document))
        except (*SHAPE_ERRORS, RecursionError) as error:
            raise ValueError(f"not an answer on {self.provider}: {error}") from None

    def event(self, event: Event) -> bytes:
        document = event.document
        if document is None:
            if event.data == DONE:
                return self.end()
            return b""
        if self._is_ended:
            return b""
        try:
            return self._event(document, event)
        except SHAPE_ERRORS:
            return b""  # a shape the wire does not have: nothing a client could read

    def _request(self, document: dict[str, Any], model: str) -> dict[str, Any]:
        raise NotImplementedError

    def _answer(self, document: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    def _event(self, document: dict[str, Any], event: Event) -> bytes:
        raise NotImplementedError

    def _failed(self, event: Event) -> bytes:
        """The provider's error inside its stream, as the client reads it."""
        self._is_ended = True
        failure = classify(self.provider, 200, event.data)
        return self.fail(status=failure.status, code=failure.code, message=failure.message)


def _drop_tags(document: dict[str, Any]) -> None:
    """LiteLLM's words in the body are for a gateway; providers refuse them."""
    for name in [name for name in document if name.startswith("litellm_")]:
        del document[name]
    if type(document.get("tags")) is list:
        del document["tags"]
    if type(document.get("cache")) is dict:
        del document["cache"]
    if type(document.get("priority")) in (int, str):
        del document["priority"]
    metadata = document.get("metadata")
    if type(metadata) is dict and type(metadata.get("tags")) is list:
        document["metadata"] = {key: value for key, value in metadata.items() if key != "tags"}
