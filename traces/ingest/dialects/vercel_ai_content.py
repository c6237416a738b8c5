"""What a Vercel AI SDK span carries: prompts, answers, tools and values, each as JSON text."""

from typing import Any

from traces.ingest.dialects.structured import (
    as_list,
    as_mapping,
    chat_messages,
    json_value,
    part_of,
)
from traces.ingest.messages import message
from traces.ingest.sanitize import Cleaner
from traces.ingest.span import NormalSpan


def read_content(span: NormalSpan, attributes: dict[str, Any], cleaner: Cleaner) -> None:
    """Move the content out of `attributes`; vectors are dropped."""
    for name in ("ai.embedding", "ai.embeddings"):
        attributes.pop(name, None)
    span.input = _asked(attributes, cleaner)
    span.output = _answered(attributes, cleaner)
    if "ai.prompt.tools" in attributes:
        tools = as_list(attributes.pop("ai.prompt.tools"))
        span.tools = [json_value(tool, cleaner) for tool in tools]


def _asked(attributes: dict[str, Any], cleaner: Cleaner) -> Any:
    said = json_value(attributes.pop("ai.prompt.messages", None), cleaner)
    prompt = json_value(attributes.pop("ai.prompt", None), cleaner)
    if said is None and type(prompt) is dict:
        said = prompt.get("messages") or [{"role": "user", "content": prompt.get("prompt")}]
        if prompt.get("system") is not None and type(said) is list:
            said = [{"role": "system", "content": prompt["system"]}, *said]
    if said is not None:
        return chat_messages(said, "user", cleaner)
    for name in ("ai.toolCall.args", "ai.value", "ai.values", "ai.documents"):
        if name in attributes:
            value = attributes.pop(name)
            if type(value) is list:
                return [json_value(item, cleaner) for item in value]
            return json_value(value, cleaner)
    return prompt


def _answered(attributes: dict[str, Any], cleaner: Cleaner) -> Any:
    if "ai.toolCall.result" in attributes:
        return json_value(attributes.pop("ai.toolCall.result"), cleaner)
    if "ai.ranking" in attributes:
        ranking = attributes.pop("ai.ranking")
        return [json_value(item, cleaner) for item in as_list(ranking)] or ranking
    made = json_value(
        attributes.pop("ai.response.object", attributes.pop("ai.result.object", None)), cleaner
    )
    text = attributes.pop("ai.response.text", attributes.pop("ai.result.text", None))
    thought = attributes.pop("ai.response.reasoning", None)
    calls = json_value(
        attributes.pop("ai.response.toolCalls", attributes.pop("ai.result.toolCalls", None)),
        cleaner,
    )
    if made is not None:
        return made
    parts = [part_of({**as_mapping(call), "type": "tool-call"}, cleaner) for call in as_list(calls)]
    if thought:
        parts.insert(0, {"type": "reasoning", "content": thought})
    if not parts:
        return [message("assistant", text, None, cleaner)] if text is not None else None
    if text:
        parts.insert(1 if thought else 0, {"type": "text", "content": text})
    return [message("assistant", parts, None, cleaner)]
