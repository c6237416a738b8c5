"""Google's Agent Development Kit (`gcp.vertex.agent.*`): GenAI spans with requests, answers and tools as JSON text."""

from typing import Any

from traces.ingest.dialects import gen_ai
from traces.ingest.dialects.base import counted, has_evidence
from traces.ingest.dialects.structured import as_list, as_mapping, json_value
from traces.ingest.dialects.usage_shapes import counts_of
from traces.ingest.facts import SpanFacts
from traces.ingest.sanitize import Cleaner, short_text
from traces.ingest.span import NormalSpan
from traces.ingest.token_counts import usage_from

NAME = "google_adk"
PRIORITY = 27
SCOPES = ("gcp.vertex.agent",)
IGNORED = {
    "gcp.vertex.agent.event_id": "ADK's own name for the event; kept with the step's attributes",
    "gcp.vertex.agent.invocation_id": "ADK's own name for the run; kept with the step's attributes",
}

_OWN = "gcp.vertex.agent."
MARKERS = frozenset(
    _OWN + name for name in ("llm_request", "invocation_id", "event_id", "tool_call_args")
)
PREFIXES = (_OWN,)
# What ADK writes where it may not, or cannot, write content.
_NOTHING: tuple[Any, ...] = ({}, "N/A", "<not serializable>", "")


def matches(scope_name: str, attributes: dict[str, Any]) -> bool:
    """Its scope, or its own keys."""
    return scope_name == "gcp.vertex.agent" or not MARKERS.isdisjoint(attributes)


def normalise(facts: SpanFacts, cleaner: Cleaner) -> NormalSpan:
    """The GenAI reading with ADK's session, request, answer and tool content on top."""
    attributes = facts.attributes
    asked = _content(attributes, "llm_request", cleaner)
    answered = _content(attributes, "llm_response", cleaner)
    request, answer = as_mapping(asked), as_mapping(answered)
    arguments = _content(attributes, "tool_call_args", cleaner)
    result = _content(attributes, "tool_response", cleaner)
    data = _content(attributes, "data", cleaner)
    span = gen_ai.normalise(facts, cleaner)
    span.dialect = NAME
    is_model_span = bool(request or answer) or facts.name == "call_llm"
    if is_model_span and not span.operation:
        span.operation, span.kind = "generate_content", "llm"
    if facts.name == "invocation" and span.kind == "span":
        span.kind = "chain"
    span.session_id = span.session_id or short_text(attributes.get(_OWN + "session_id"))
    if span.operation in gen_ai.CHARGEABLE:
        _read_answer(span, answer)
    if request and span.input is None:
        span.input = _asked(request)
        config = as_mapping(request.get("config"))
        span.tools = span.tools or config.pop("tools", None)
        config.pop("system_instruction", None)
        span.parameters = span.parameters | config
    if answer and span.output is None and type(answer.get("content")) is dict:
        span.output = [_said(answer["content"], "assistant")]
    # What is cut off is no JSON any more, and shown as the text it is.
    if span.input is None:
        span.input = next((x for x in (arguments, data, asked) if x is not None), None)
    if span.output is None:
        span.output = result if result is not None else answered
    return span


def _content(attributes: dict[str, Any], name: str, cleaner: Cleaner) -> Any:
    value = json_value(attributes.pop(_OWN + name, None), cleaner)
    return None if value in _NOTHING else value


def _read_answer(span: NormalSpan, answer: dict[str, Any]) -> None:
    """Gemini's own usage settles what older releases left out of the GenAI counts: thoughts, tool results."""
    usage = as_mapping(answer.get("usage_metadata"))
    flags = list(span.flags)
    if usage:
        counts, convention = counts_of(usage, flags)
        stated = usage_from(counts, flags, provider="google", convention=convention)
        span.usage = stated if counted(stated) else span.usage
    span.finish_reason = span.finish_reason or short_text(answer.get("finish_reason"), 40).lower()
    span.response_model = span.response_model or short_text(answer.get("model_version"))
    span.is_call = counted(span.usage) or has_evidence(span)
    span.flags = tuple(flags)


def _asked(request: dict[str, Any]) -> list[Any]:
    said = [_said(content, "user") for content in as_list(request.get("contents"))]
    system = as_mapping(request.get("config")).get("system_instruction")
    if system:
        text = system if type(system) is str else _said(system, "system").get("parts")
        key = "content" if type(text) is str else "parts"
        said.insert(0, {"role": "system", key: text})
    return said


def _said(content: Any, role: str) -> dict[str, Any]:
    """One Gemini content as a GenAI message."""
    content = as_mapping(content)
    stated = content.get("role")
    role = "assistant" if stated == "model" else stated if type(stated) is str and stated else role
    return {"role": role, "parts": [_part(part) for part in as_list(content.get("parts"))]}


def _part(part: Any) -> Any:
    if type(part) is not dict:
        return {"type": "text", "content": part}
    if type(part.get("text")) is str:
        kind = "reasoning" if part.get("thought") is True else "text"
        return {"type": kind, "content": part["text"]}
    call, answer = part.get("function_call"), part.get("function_response")
    if type(call) is dict:
        named = {"id": call.get("id"), "name": call.get("name")}
        return {"type": "tool_call", **named, "arguments": call.get("args")}
    if type(answer) is dict:
        return {
            "type": "tool_call_response",
            "id": answer.get("id"),
            "response": answer.get("response"),
        }
    return part
