"""From the client's wire to the provider's and back (pure).

One `Translator` serves one attempt: `request` once, then `answer`, or `event` for each event and `end` when the
stream ended as it should; `fail` when it did not.
"""

from typing import Any

from gateway.dialects.errors import error_event
from gateway.dialects.sse import DONE, Event, frame
from gateway.structs import Dialect

_STREAM_END = frame(DONE)
_CHAT_LIKE = (Dialect.CHAT, Dialect.COMPLETIONS)


class Translator:
    """Equal wires: everything passes as it came, known or not."""

    def __init__(self, client: Dialect, provider: Dialect) -> None:
        self.client = client
        self.provider = provider
        self._last: Event | None = None

    def request(self, document: dict[str, Any], *, model: str) -> dict[str, Any]:
        """The body for the provider; `document` stays as it is."""
        made = {**document, "model": model}
        _drop_tags(made)
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
        document = self._last.document if self._last is not None else None
        number = (document or {}).get("sequence_number")
        return error_event(
            self.client,
            status=status,
            code=code,
            message=message,
            request_id=request_id,
            sequence_number=number + 1 if type(number) is int else 0,
        )


class ChatPassing(Translator):
    """Chat Completions and Completions: usage is always asked for, and hidden from who did not ask."""

    def __init__(self, client: Dialect, provider: Dialect, *, wants_usage: bool) -> None:
        super().__init__(client, provider)
        self._hides_usage = not wants_usage
        self._is_ended = False

    def request(self, document: dict[str, Any], *, model: str) -> dict[str, Any]:
        made = super().request(document, model=model)
        if made.get("stream"):
            made["stream_options"] = {**(made.get("stream_options") or {}), "include_usage": True}
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
        return b"" if self._is_ended else _STREAM_END


def _drop_tags(document: dict[str, Any]) -> None:
    """LiteLLM's tags in the body are for a gateway; providers refuse them."""
    if type(document.get("tags")) is list:
        del document["tags"]
    metadata = document.get("metadata")
    if type(metadata) is dict and type(metadata.get("tags")) is list:
        document["metadata"] = {key: value for key, value in metadata.items() if key != "tags"}


def can_translate(client: Dialect, provider: Dialect) -> bool:
    """Whether a client of one wire can be served by a provider of the other."""
    return client is provider


def translator(client: Dialect, provider: Dialect, *, wants_usage: bool = True) -> Translator:
    """A translator for one attempt. Raises ValueError when there is none for the two wires."""
    if client is provider:
        if client in _CHAT_LIKE:
            return ChatPassing(client, provider, wants_usage=wants_usage)
        return Translator(client, provider)
    raise ValueError(f"no translation between {client} and {provider}")
