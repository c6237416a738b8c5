"""What all dialects share: the general OpenTelemetry facts of a span, and the rules about calls
and refusals.
"""

import re
from decimal import Decimal
from typing import Any

from costs.usage import Usage
from traces.ingest.facts import EventFacts, SpanFacts
from traces.ingest.limits import ERROR_LENGTH, MAX_COST_USD, NAME_LENGTH, SHORT_LENGTH
from traces.ingest.messages import parse_clean
from traces.ingest.sanitize import Cleaner, clean_text, short_text
from traces.ingest.span import NormalSpan

BAD_COST = "bad_client_cost"

# The provider answered no before doing any work: nothing is charged for these.
_REFUSED_STATUS = frozenset({400, 401, 402, 403, 404, 413, 422, 429})
_REFUSED_NAMES = re.compile(
    r"rate_?limit|bad_?request|invalid_?request|authentication|permission_?(denied|error)|not_?found"
    r"|unprocessable|(^|[^0-9])(400|401|402|403|404|413|422|429)([^0-9]|$)",
    re.IGNORECASE,
)
# Resolving the name, connecting or the TLS handshake failed: in Python, Node, Go and Java words.
_NOT_CONNECTED = re.compile(
    r"ConnectionRefusedError|\bConnectError\b|\bConnectTimeout\b|ConnectTimeoutError|NewConnectionError|NameResolutionError"
    r"|\bgaierror\b|getaddrinfo|ECONNREFUSED|ENOTFOUND|EAI_AGAIN|UnknownHostException|connect: connection refused"
    r"|no such host|\[Errno 111\]|Name or service not known|Temporary failure in name resolution"
)
_SENT = re.compile(
    r"Read(Timeout|Error)|Write(Timeout|Error)|RemoteProtocolError|ECONNRESET|ConnectionResetError|RemoteDisconnected"
    r"|socket hang up|BrokenPipe|IncompleteRead"
)
_STACK = 20_000  # characters from its end: where the last cause stands, and what one span may cost
_COST_STEP = Decimal("1E-12")

# Who, which conversation and what for: keys that travel on every span of a trace, whatever vocabulary it is in.
_USER = (
    "user.id", "enduser.id", "gen_ai.user", "langfuse.user.id", "traceloop.association.properties.user_id",
)  # fmt: skip
_SESSION = (
    "gen_ai.conversation.id", "session.id", "langfuse.session.id", "traceloop.association.properties.session_id",
)  # fmt: skip
_ENVIRONMENT = ("langfuse.environment", "deployment.environment.name", "deployment.environment")
_TAGS = ("llmlab.tags", "langfuse.trace.tags")


def first(attributes: dict[str, Any], names: tuple[str, ...]) -> Any:
    """The first stated value among `names`, in order of precedence."""
    for name in names:
        value = attributes.get(name)
        if value is not None and value != "":
            return value
    return None


def plain_span(facts: SpanFacts, cleaner: Cleaner) -> NormalSpan:
    """A span with only its general facts filled in; dialects go on from here."""
    attributes = facts.attributes
    resource = facts.scope.resource
    error_type, error_message = _error(facts)
    environment = (
        attributes.get("langfuse.environment")
        or first(resource, _ENVIRONMENT)
        or first(attributes, _ENVIRONMENT)
    )
    trace_name = short_text(attributes.get("langfuse.trace.name"))
    release = attributes.get("langfuse.release") or first(
        resource, ("service.version", "langfuse.release")
    )
    span = NormalSpan(
        trace_id=facts.trace_id,
        span_id=facts.span_id,
        parent_span_id=facts.parent_span_id,
        name=facts.name,
        status="error" if facts.status_code == 2 else "running" if facts.ended_at is None else "ok",
        started_at=facts.started_at,
        ended_at=facts.ended_at,
        error_type=error_type,
        error_message=error_message,
        trace_name=trace_name or ("" if facts.parent_span_id else facts.name),
        agent=short_text(resource.get("service.name")) if _is_named(resource) else "",
        environment=short_text(environment, SHORT_LENGTH),
        release=short_text(release),
        user_id=short_text(first(attributes, _USER)),
        session_id=short_text(first(attributes, _SESSION)),
        feature=short_text(attributes.get("llmlab.feature")),
        prompt_version=short_text(attributes.get("llmlab.prompt.version")),
        is_cache_hit=attributes.get("llmlab.cache.hit") in (True, "true"),
        tags=tags_of(first(attributes, _TAGS)),
        events=[_event(event) for event in facts.events],
        dialect="otel",
        scope_name=facts.scope.name,
        scope_version=facts.scope.version,
    )
    if resource:
        attributes["resource"] = resource
    span.attributes = attributes
    return span


def _is_named(resource: dict[str, Any]) -> bool:
    """SDKs fill in `unknown_service:python` when nobody named the service."""
    name = resource.get("service.name")
    return type(name) is str and not name.startswith("unknown_service")


def _event(event: EventFacts) -> dict[str, Any]:
    return {"name": event.name, "offset_ms": event.offset_ms, "attributes": event.attributes}


def _error(facts: SpanFacts) -> tuple[str, str]:
    """Type and message, from `error.type`, the last exception event and the status."""
    error_type = facts.attributes.get("error.type")
    message = facts.status_message
    if facts.status_code != 2:
        return short_text(error_type), ""
    for event in reversed(facts.events):
        if event.name == "exception":
            error_type = error_type or event.attributes.get("exception.type")
            message = event.attributes.get("exception.message") or message
            break
    return short_text(error_type), clean_text(
        str(message or facts.attributes.get("error.message") or "")
    )[:ERROR_LENGTH]


def tags_of(value: Any) -> tuple[str, ...]:
    """Distinct, non-empty tags in their order."""
    if type(value) is str:
        value = [value]
    if type(value) is not list:
        return ()
    return tuple(dict.fromkeys(tag for tag in (short_text(item) for item in value[:50]) if tag))


def mapping_of(value: Any, cleaner: Cleaner) -> dict[str, Any]:
    """`value` as an object, parsed when it is JSON text."""
    parsed = parse_clean(value, cleaner)
    return parsed if type(parsed) is dict else {}


def client_cost(value: Any, flags: list[str]) -> Decimal | None:
    """A cost the sender worked out, in USD. Doubles are read by their shortest decimal form."""
    if value is None or type(value) is bool:
        return None
    try:
        amount = Decimal(value if type(value) in (int, str, Decimal) else repr(value))
        if not 0 <= amount <= MAX_COST_USD or not amount.is_finite():
            raise ValueError
        return amount.quantize(_COST_STEP)
    except (ArithmeticError, ValueError, TypeError):
        flags.append(BAD_COST)
        return None


def is_refusal(span: NormalSpan, attributes: dict[str, Any]) -> bool:
    """Whether the provider refused the call (4xx), which then costs nothing, unless it counted
    tokens after all.
    """
    if span.status != "error" or (span.usage is not None and span.usage.is_known):
        return False
    status = attributes.get("http.response.status_code") or attributes.get("http.status_code")
    if status is not None:
        return type(status) is int and status in _REFUSED_STATUS
    return is_refusal_name(span.error_type, span.error_message) or was_never_sent(span)


def was_never_sent(span: NormalSpan) -> bool:
    """Whether a failed call proves that no connection came about: the provider can have charged nothing for it.

    SDKs hide the cause behind "Connection error."; the exception's stack trace names it. One that also names a
    failure after sending proves nothing.
    """
    if span.response_id or span.response_model or span.output:
        return False
    texts = [span.error_type, span.error_message]
    for event in span.events:
        stack = (event.get("attributes") or {}).get("exception.stacktrace")
        if type(stack) is str:
            texts.append(stack[-_STACK:])
    return any(map(_NOT_CONNECTED.search, texts)) and not any(map(_SENT.search, texts))


def is_refusal_name(error_type: str, message: str) -> bool:
    """Whether an error's type, or the official SDKs' message (`Error code: 429 - …`), names a
    4xx answer.
    """
    if _REFUSED_NAMES.search(error_type):
        return True
    return message.startswith("Error code: 4") and bool(_REFUSED_NAMES.search(message[:16]))


def has_evidence(span: NormalSpan) -> bool:
    """Whether a call without token counts surely was one: the model answered, was asked, or
    failed to answer.
    """
    return bool(
        span.response_id
        or span.finish_reason
        or (
            span.request_model
            and (span.input or span.output or span.response_model or span.status != "ok")
        )
    )


def counted(usage: Usage | None) -> bool:
    """Whether any token was stated."""
    return usage is not None and (usage.is_known or usage.stated_total_tokens is not None)


def first_reason(value: Any) -> str:
    """One finish reason out of a list or text."""
    if type(value) is list:
        value = value[0] if value else ""
    return short_text(value, 40)


def model_name(value: Any) -> str:
    return short_text(value, NAME_LENGTH)
