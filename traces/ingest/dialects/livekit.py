"""LiveKit Agents (`lk.*`): voice sessions, turns, speech and model nodes; model calls are GenAI spans among them."""

from typing import Any

from traces.ingest.dialects import gen_ai
from traces.ingest.dialects.base import counted, first
from traces.ingest.dialects.structured import as_list, as_mapping, json_value, milliseconds
from traces.ingest.facts import SpanFacts
from traces.ingest.messages import message
from traces.ingest.sanitize import Cleaner, short_text
from traces.ingest.span import NormalSpan
from traces.ingest.token_counts import BAD_COUNT, Counts, lenient_count, usage_from

NAME = "livekit"
PRIORITY = 28
SCOPES = ("livekit-agents",)
IGNORED = {
    "gen_ai.usage.input_text_tokens": "repeats gen_ai.usage.text.input_tokens; kept with the step's attributes",
    "gen_ai.usage.input_audio_tokens": "repeats gen_ai.usage.audio.input_tokens; kept with the step's attributes",
    "gen_ai.usage.input_cached_tokens": "repeats gen_ai.usage.cache_read.input_tokens; kept with the step's attributes",
    "gen_ai.usage.output_text_tokens": "repeats gen_ai.usage.text.output_tokens; kept with the step's attributes",
    "gen_ai.usage.output_audio_tokens": "repeats gen_ai.usage.audio.output_tokens; kept with the step's attributes",
    "lk.*": "a measurement of the voice session; kept with the step's attributes",
}

_KINDS = {
    "agent_session": "agent", "agent_turn": "agent", "function_tool": "tool", "user_turn": "chain",
    "llm_node": "chain", "tts_node": "chain", "tts_request": "span", "judge_evaluation": "evaluator",
}  # fmt: skip
MARKERS = frozenset(
    {"lk.agent_label", "lk.speech_id", "lk.generation_id", "lk.llm_metrics", "lk.response.ttft"}
)
PREFIXES = ("lk.",)
# Content keys got a `pii` segment in 2026; older releases wrote them without.
_CONTEXT = ("lk.pii.chat_ctx", "lk.chat_ctx")
_INPUTS = ("lk.pii.function_tool.arguments", "lk.function_tool.arguments", "lk.pii.input_text", "lk.input_text",
           "lk.pii.user_input", "lk.user_input")  # fmt: skip
_OUTPUTS = ("lk.pii.function_tool.output", "lk.function_tool.output", "lk.pii.response.text", "lk.response.text",
            "lk.pii.user_transcript", "lk.user_transcript")  # fmt: skip
_PARTICIPANT = ("lk.pii.participant_identity", "lk.participant_identity")
_ROOM = ("lk.pii.room_name", "lk.room_name")


def matches(scope_name: str, attributes: dict[str, Any]) -> bool:
    """Its scope, or its own keys."""
    return scope_name == "livekit-agents" or not MARKERS.isdisjoint(attributes)


def normalise(facts: SpanFacts, cleaner: Cleaner) -> NormalSpan:
    """The GenAI reading with LiveKit's turns, speech and times on top."""
    attributes = facts.attributes
    span = gen_ai.normalise(facts, cleaner)
    span.dialect = NAME
    if span.kind == "span":
        span.kind = _KINDS.get(facts.name, "span")
    span.agent = short_text(first(attributes, ("lk.agent_name", "lk.agent_label"))) or span.agent
    span.user_id = short_text(first(attributes, _PARTICIPANT)) or span.user_id
    span.session_id = span.session_id or short_text(first(attributes, _ROOM))
    waited = milliseconds(
        first(attributes, ("lk.response.ttft", "lk.response.ttfb")), per_unit=1000.0
    )
    span.first_token_ms = span.first_token_ms if span.first_token_ms is not None else waited
    _read_metrics(span, attributes, cleaner)
    _read_content(span, attributes, cleaner)
    if attributes.get("lk.function_tool.is_error") is True and span.status == "ok":
        span.status = "error"
    return span


def _read_metrics(span: NormalSpan, attributes: dict[str, Any], cleaner: Cleaner) -> None:
    """LiveKit's own metrics of a model call, for what the GenAI keys left out."""
    metrics = as_mapping(json_value(attributes.get("lk.llm_metrics"), cleaner))
    if not metrics or span.operation not in gen_ai.CHARGEABLE:
        return
    if span.first_token_ms is None:
        span.first_token_ms = milliseconds(metrics.get("ttft"), per_unit=1000.0)
    span.response_id = span.response_id or short_text(metrics.get("request_id"))
    if counted(span.usage):
        return
    flags = list(span.flags)
    counts = Counts()
    names = {"input": "prompt_tokens", "output": "completion_tokens", "cache_read": "prompt_cached_tokens",
             "total": "total_tokens"}  # fmt: skip
    for field, name in names.items():
        number = lenient_count(metrics.get(name))
        if number == -1:
            flags.append(BAD_COUNT)
        else:
            setattr(counts, field, number)
    span.usage = usage_from(counts, flags, provider=span.provider)
    span.flags = tuple(flags)
    span.is_call = span.is_call or counted(span.usage)


def _read_content(span: NormalSpan, attributes: dict[str, Any], cleaner: Cleaner) -> None:
    context = as_mapping(json_value(first(attributes, _CONTEXT), cleaner))
    for name in _CONTEXT:
        attributes.pop(name, None)
    said = [_item(item, cleaner) for item in as_list(context.get("items")) if type(item) is dict]
    asked = _taken(attributes, _INPUTS, cleaner)
    answered = _taken(attributes, _OUTPUTS, cleaner)
    span.input = span.input if span.input is not None else (said or asked)
    span.output = span.output if span.output is not None else answered


def _item(item: dict[str, Any], cleaner: Cleaner) -> dict[str, Any]:
    """One item of a chat context: a message, a tool call or its result."""
    kind = item.get("type")
    if kind == "function_call":
        return message("assistant", None, [item], cleaner)
    if kind == "function_call_output":
        part = {
            "type": "tool_call_response",
            "id": item.get("call_id"),
            "response": item.get("output"),
        }
        return {"role": "tool", "parts": [part]}
    content = item.get("content")
    if type(content) is list and all(type(part) is str for part in content):
        content = "\n".join(content)
    return message(item.get("role"), content, None, cleaner)


def _taken(attributes: dict[str, Any], names: tuple[str, ...], cleaner: Cleaner) -> Any:
    for name in names:
        if attributes.get(name) not in (None, ""):
            return json_value(attributes.pop(name), cleaner)
    return None
