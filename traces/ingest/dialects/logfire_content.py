"""Content in the keys of Logfire and of older pydantic-ai releases, beside the GenAI messages of newer ones."""

from typing import Any

from traces.ingest.dialects.structured import as_mapping, chat_messages, json_value
from traces.ingest.messages import message
from traces.ingest.sanitize import Cleaner
from traces.ingest.span import NormalSpan


def read_content(span: NormalSpan, attributes: dict[str, Any], cleaner: Cleaner) -> None:
    """Move messages, results and tools out of `attributes`, where the GenAI keys did not bring them already."""
    said, answered = _events(attributes, cleaner)
    request = as_mapping(json_value(attributes.get("request_data"), cleaner))
    answer = as_mapping(json_value(attributes.get("response_data"), cleaner))
    told = answer.get("message", answer.get("combined_chunk_content"))
    if "messages" in request:
        del attributes["request_data"]
    if told is not None:
        del attributes["response_data"]
    if span.input is None:
        arguments = json_value(attributes.pop("tool_arguments", None), cleaner)
        asked = chat_messages(request.get("messages"), "user", cleaner)
        span.input = said or arguments or asked
    if span.output is None:
        result = attributes.pop("final_result", attributes.pop("tool_response", None))
        told = [{"role": "assistant", "content": told}] if type(told) is str else told
        span.output = answered or json_value(result, cleaner) or told
    parameters = as_mapping(json_value(attributes.get("model_request_parameters"), cleaner))
    if parameters:
        del attributes["model_request_parameters"]
        span.parameters = span.parameters | parameters


def _events(attributes: dict[str, Any], cleaner: Cleaner) -> tuple[list[Any], list[Any]]:
    """`events` and `all_messages_events`: GenAI events kept in one attribute; `pydantic_ai.all_messages`."""
    said: list[Any] = []
    answered: list[Any] = []
    whole = json_value(attributes.get("pydantic_ai.all_messages"), cleaner)
    if type(whole) is list:
        del attributes["pydantic_ai.all_messages"]
        said = [item for item in whole if type(item) is dict]
    for name in ("events", "all_messages_events"):
        listed = json_value(attributes.get(name), cleaner)
        if type(listed) is not list or not all(
            type(item) is dict and "event.name" in item for item in listed
        ):
            continue  # somebody's own attribute of that name
        del attributes[name]
        for item in listed:
            if item["event.name"] == "gen_ai.choice":
                told = as_mapping(item.get("message"))
                answered.append(_message(told, "assistant", cleaner))
            else:
                said.append(_message(item, "user", cleaner))
    return said, answered


def _message(item: dict[str, Any], role: str, cleaner: Cleaner) -> dict[str, Any]:
    return message(
        item.get("role") or role,
        item.get("content"),
        item.get("tool_calls"),
        cleaner,
        name=item.get("name"),
        id=item.get("id"),
    )
