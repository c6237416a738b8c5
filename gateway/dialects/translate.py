"""From the client's wire to the provider's and back: which translators there are (pure)."""

import time
from collections.abc import Collection

from gateway.dialects.chained import Chained
from gateway.dialects.chat_as_message import MessagesOverChat
from gateway.dialects.chat_as_response import ResponsesOverChat
from gateway.dialects.message_as_chat import ChatOverMessages
from gateway.dialects.passing import ChatPassing, TranslationError, Translator
from gateway.structs import Dialect

__all__ = ("TranslationError", "Translator", "can_translate", "provider_dialect", "translator")

_CHAT_LIKE = (Dialect.CHAT, Dialect.COMPLETIONS)
# The client's wire -> wires of providers it can be served by, the best first.
_OVER: dict[Dialect, tuple[Dialect, ...]] = {
    Dialect.CHAT: (Dialect.MESSAGES,),
    Dialect.MESSAGES: (Dialect.CHAT,),
    Dialect.RESPONSES: (Dialect.CHAT, Dialect.MESSAGES),
}


def can_translate(client: Dialect, provider: Dialect) -> bool:
    """Whether a client of one wire can be served by a provider of the other."""
    return client is provider or provider in _OVER.get(client, ())


def provider_dialect(client: Dialect, native: Collection[Dialect]) -> Dialect | None:
    """The wire to speak to a provider that speaks `native`: the client's own, else the best translation, else None."""
    if client in native:
        return client
    return next((one for one in _OVER.get(client, ()) if one in native), None)


def translator(
    client: Dialect,
    provider: Dialect,
    *,
    wants_usage: bool = True,
    kind: str = "",
    created: int | None = None,
) -> Translator:
    """A translator for one attempt. `wants_usage`: whether the client asked for usage in its stream; `kind`: the
    connection's (ProviderKind); `created`: the answer's time where the provider's wire has none, else now.

    Raises ValueError when there is no translation between the two.
    """
    if client is provider:
        if client in _CHAT_LIKE:
            return ChatPassing(client, provider, wants_usage=wants_usage, kind=kind)
        return Translator(client, provider)
    if not can_translate(client, provider):
        raise ValueError(f"no translation between {client} and {provider}")
    now = int(time.time()) if created is None else created
    if client is Dialect.CHAT:
        return ChatOverMessages(wants_usage=wants_usage, created=now)
    if client is Dialect.MESSAGES:
        return MessagesOverChat(kind=kind, created=now)
    outer = ResponsesOverChat(
        kind="anthropic" if provider is Dialect.MESSAGES else kind, created=now
    )
    if provider is Dialect.CHAT:
        return outer
    return Chained(outer, ChatOverMessages(wants_usage=True, created=now))
