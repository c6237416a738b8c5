"""What an OpenInference span carries: messages spread over numbered attributes, tools,
documents, raw bodies.
"""

from typing import Any

from traces.ingest.facts import SpanFacts
from traces.ingest.messages import message, nest, parse_clean, parse_json
from traces.ingest.sanitize import Cleaner
from traces.ingest.span import NormalSpan

_EMBEDDING = "embedding.embeddings."


def answer_of(attributes: dict[str, Any]) -> dict[str, Any]:
    """The provider's answer when the span carries it whole in `output.value`."""
    value = parse_json(attributes.get("output.value"))
    return value if type(value) is dict else {}


def read_content(span: NormalSpan, facts: SpanFacts, cleaner: Cleaner) -> None:
    """Move the content out of `attributes` into `input`, `output` and `tools`; vectors are
    dropped.
    """
    attributes = facts.attributes
    raw_input = attributes.pop("input.value", None)
    raw_output = attributes.pop("output.value", None)
    attributes.pop("input.mime_type", None)
    attributes.pop("output.mime_type", None)
    said = _messages(attributes, "llm.input_messages.", "user", cleaner)
    answered = _messages(attributes, "llm.output_messages.", "assistant", cleaner)
    tools = nest(attributes, "llm.tools.")
    if tools:
        span.tools = [parse_clean(_inner(tool, "tool", "json_schema"), cleaner) for tool in tools]
    if span.kind == "embedding":
        said = said or _embedded(attributes)
        raw_output = (
            None if raw_output is not None and '"embedding"' in str(raw_output) else raw_output
        )
    documents = _documents(attributes, cleaner)
    span.input = said or parse_clean(raw_input, cleaner)
    span.output = answered or documents or parse_clean(raw_output, cleaner)
    if span.kind == "tool" and span.input is None:
        span.input = parse_clean(attributes.pop("tool.parameters", None), cleaner)


def _inner(item: Any, *names: str) -> Any:
    for name in names:
        if type(item) is not dict:
            return item
        item = item.get(name)
    return item


def _messages(attributes: dict[str, Any], prefix: str, role: str, cleaner: Cleaner) -> list[Any]:
    result = []
    for item in nest(attributes, prefix):
        said = item.get("message") if type(item) is dict else None
        if type(said) is not dict:
            continue
        content = said.get("content")
        contents = said.get("contents")
        if type(contents) is list:
            content = [_part(_inner(part, "message_content")) for part in contents]
        result.append(
            message(
                said.get("role") or role,
                content,
                said.get("tool_calls"),
                cleaner,
                name=said.get("name"),
                tool_call_id=said.get("tool_call_id"),
            )
        )
    return result


def _part(part: Any) -> Any:
    """One piece of a message; text and images in the shape GenAI messages use."""
    if type(part) is not dict:
        return {"type": "text", "content": part}
    if part.get("type", "text") == "text" and "text" in part:
        return {"type": "text", "content": part["text"]}
    url = _inner(part.get("image"), "image", "url")
    if type(url) is str:
        return {"type": "image", "uri": url}
    return part


def _embedded(attributes: dict[str, Any]) -> list[Any]:
    """The texts that were embedded. Vectors are large, readable by nobody, and dropped."""
    texts = []
    for item in nest(attributes, _EMBEDDING):
        text = _inner(item, "embedding", "text")
        if type(text) is str:
            texts.append({"role": "user", "content": text})
    return texts


def _documents(attributes: dict[str, Any], cleaner: Cleaner) -> list[Any]:
    documents = nest(attributes, "retrieval.documents.") or nest(
        attributes, "reranker.output_documents."
    )
    result = []
    for item in documents:
        document = _inner(item, "document")
        if type(document) is dict and "metadata" in document:
            document["metadata"] = parse_clean(document["metadata"], cleaner)
        result.append(document)
    return result
