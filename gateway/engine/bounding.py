"""Under a hard limit of tokens or dollars a call stays within what was set aside for it: its answer, and its tries
(pure)."""

from typing import Any

from gateway.dialects.facts import output_limit
from gateway.dialects.model_traits import limit_field
from gateway.engine.providers import ProviderError
from gateway.guards.schemas import may_ask_again
from gateway.quotas.bounds import most_output
from gateway.structs import Call, Dialect

_FIELDS = {
    Dialect.CHAT: ("max_completion_tokens", "max_tokens"),
    Dialect.RESPONSES: ("max_output_tokens",),
    Dialect.COMPLETIONS: ("max_tokens",),
    Dialect.MESSAGES: ("max_tokens",),
}


def bounded(
    call: Call,
    document: dict[str, Any],
    request: dict[str, Any],
    *,
    dialect: Dialect,
    model: str,
    kind: str,
) -> tuple[dict[str, Any], bool]:
    """The provider's request with the output limit the reservation counted on, and whether that is ours: the client
    stated none. `document` is the client's, `dialect` the provider's."""
    names = _FIELDS.get(dialect)
    if names is None:
        return request, False
    stated = output_limit(call.dialect, document)
    most = most_output(stated, model)
    name = next((one for one in names if request.get(one) is not None), "")
    if name and 0 <= request[name] <= most:
        return request, False
    if not name:
        if dialect is Dialect.COMPLETIONS and kind in ("openai", "azure"):
            return request, False  # sixteen tokens, unless the client says otherwise
        name = limit_field(model, kind) if dialect is Dialect.CHAT else names[0]
    return {**request, name: most}, stated is None


def tries_aside(call: Call, document: dict[str, Any]) -> int | None:
    """How many tries that may cost were set aside for the call (gateway.quotas.bounds); None: no hard limit of tokens
    or dollars counts it, and it may make as many as its route says. `document` is the client's."""
    if not call.is_bounded or call.dialect is Dialect.COUNT_TOKENS:
        return None
    tries = 1 if call.rules.hedge_after_s is None else 2
    is_judged = may_ask_again(call.guards, call.dialect, document, is_stream=call.is_stream)
    return 2 * tries if is_judged else tries


def is_too_large(error: ProviderError) -> bool:
    """Whether the provider refused the limit: then its own is lower, and without ours the answer stays within it."""
    return error.status == 400 and any(word in error.body for word in (b"max_", b"maximum"))
