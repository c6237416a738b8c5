"""Where GenAI spans carry what was said: structured attributes, events, or flat indexed names."""

from typing import Any

from traces.ingest.facts import EventFacts, SpanFacts
from traces.ingest.messages import as_messages, message, nest, parse_clean
from traces.ingest.sanitize import Cleaner, short_text
from traces.ingest.span import NormalSpan

_ROLES = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
_DETAILS = ("gen_ai.client.inference.operation.details", "gen_ai.client.operation.details")
_CONTENT = (
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.tool.definitions",
)


def read_content(span: NormalSpan, facts: SpanFacts, cleaner: Cleaner) -> None:
    """Move messages, tools and documents from attributes and events into `input`, `output` and
    `tools`.
    """
    attributes = facts.attributes
    said: list[Any] = []
    answered: list[Any] = []
    if facts.events:
        rest = [
            event
            for event in facts.events
            if not _read_event(event, attributes, said, answered, cleaner)
        ]
        if len(rest) != len(facts.events):
            span.events = [
                {"name": event.name, "offset_ms": event.offset_ms, "attributes": event.attributes}
                for event in rest
            ]
    if "gen_ai.tool.call.arguments" in attributes:
        span.input = parse_clean(attributes.pop("gen_ai.tool.call.arguments"), cleaner)
    if "gen_ai.tool.call.result" in attributes:
        span.output = parse_clean(attributes.pop("gen_ai.tool.call.result"), cleaner)
    if span.kind == "tool" and not span.name:
        span.name = short_text(attributes.get("gen_ai.tool.name"))
    _read_retrieval(span, attributes, cleaner)
    system = parse_clean(attributes.pop("gen_ai.system_instructions", None), cleaner)
    stated = as_messages(
        parse_clean(attributes.pop("gen_ai.input.messages", None), cleaner), "user"
    )
    said = stated or said or _flat(attributes, "gen_ai.prompt", "user", cleaner)
    if system:
        said = [
            {"role": "system", "parts": system}
            if type(system) is list
            else message("system", system, None, cleaner),
            *said,
        ]
    stated = as_messages(
        parse_clean(attributes.pop("gen_ai.output.messages", None), cleaner), "assistant"
    )
    answered = stated or answered or _flat(attributes, "gen_ai.completion", "assistant", cleaner)
    if said:
        span.input = said
    if answered:
        span.output = answered
        if not span.finish_reason and type(answered[0]) is dict:
            span.finish_reason = short_text(answered[0].get("finish_reason"), 40)
    if "gen_ai.tool.definitions" in attributes:
        span.tools = parse_clean(attributes.pop("gen_ai.tool.definitions"), cleaner)


def _read_retrieval(span: NormalSpan, attributes: dict[str, Any], cleaner: Cleaner) -> None:
    if "gen_ai.retrieval.query.text" in attributes:
        span.input = attributes.pop("gen_ai.retrieval.query.text")
    if "gen_ai.retrieval.documents" in attributes:
        span.output = parse_clean(attributes.pop("gen_ai.retrieval.documents"), cleaner)


def _read_event(
    event: EventFacts,
    attributes: dict[str, Any],
    said: list[Any],
    answered: list[Any],
    cleaner: Cleaner,
) -> bool:
    """Read one event; whether it was content, which then is not shown a second time as an event."""
    values = event.attributes
    if event.name in _ROLES:
        calls = parse_clean(values.get("tool_calls"), cleaner)
        content = parse_clean(values.get("content", values.get("gen_ai.event.content")), cleaner)
        if type(content) is dict and "content" in content:
            calls = calls or content.get("tool_calls")
            content = content.get("content")
        said.append(
            message(
                values.get("role") or _ROLES[event.name],
                content,
                calls,
                cleaner,
                id=values.get("id"),
            )
        )
    elif event.name == "gen_ai.choice":
        answered.append(_choice(values, cleaner))
    elif event.name in _DETAILS:
        for name in _CONTENT:
            if name in values:
                attributes.setdefault(name, values[name])
    elif event.name == "gen_ai.content.prompt":
        said.extend(as_messages(parse_clean(values.get("gen_ai.prompt"), cleaner), "user"))
    elif event.name == "gen_ai.content.completion":
        answered.extend(
            as_messages(parse_clean(values.get("gen_ai.completion"), cleaner), "assistant")
        )
    else:
        return False
    return True


def _choice(values: dict[str, Any], cleaner: Cleaner) -> dict[str, Any]:
    """A `gen_ai.choice` event; its message is an object, JSON text, or spread over the event
    itself.
    """
    said = parse_clean(values.get("message", values.get("gen_ai.event.content")), cleaner)
    if type(said) is dict and type(said.get("message")) is dict:
        said = said["message"]
    if type(said) is not dict:
        said = {
            "content": said if said is not None else values.get("content"),
            "tool_calls": values.get("tool_calls"),
        }
    calls = parse_clean(said.get("tool_calls"), cleaner)
    role = said.get("role") or "assistant"
    return message(
        role, said.get("content"), calls, cleaner, finish_reason=values.get("finish_reason")
    )


def _flat(attributes: dict[str, Any], name: str, role: str, cleaner: Cleaner) -> list[Any]:
    """`gen_ai.prompt` as one value, or `gen_ai.prompt.0.role`, `gen_ai.prompt.0.content`, …"""
    whole = attributes.pop(name, None)
    if whole is not None:
        return as_messages(parse_clean(whole, cleaner), role)
    result = []
    for item in nest(attributes, name + "."):
        if type(item) is dict:
            content = parse_clean(item.get("content"), cleaner)
            result.append(
                message(
                    item.get("role") or role,
                    content if type(content) in (str, list) else item.get("content"),
                    item.get("tool_calls"),
                    cleaner,
                    finish_reason=item.get("finish_reason"),
                )
            )
    return result
