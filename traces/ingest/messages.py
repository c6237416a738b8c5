"""Turn the ways of writing a conversation into one: [{"role", "content" | "parts", …}]."""

from typing import Any

import msgspec

from traces.ingest.sanitize import Cleaner

_decoder = msgspec.json.Decoder()
_MAX_SEGMENTS = 16


def parse_json(value: Any) -> Any:
    """`value` parsed when it is JSON text of an object or a list, else `value` itself."""
    if (
        type(value) is str
        and value[:1] in ("{", "[")
        and value.count("[") + value.count("{") < 100_000
    ):
        try:
            return _decoder.decode(value)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            return value
    return value


def parse_clean(value: Any, cleaner: Cleaner) -> Any:
    """Like parse_json; what was inside the text is cleaned as well (an escaped NUL hides there
    until now).
    """
    parsed = parse_json(value)
    return parsed if parsed is value else cleaner.value(parsed)


def nest(attributes: dict[str, Any], prefix: str) -> list[Any]:
    """The list behind `prefix`: `p.0.role`, `p.0.tool_calls.1.name` become [{"role", "tool_calls":
    [{"name"}]}].

    Takes the entries out of `attributes`. Indices only order the items: a gap or a huge number
    costs nothing.
    """
    tree: dict[str, Any] = {}
    cut = len(prefix)
    for key in [key for key in attributes if key.startswith(prefix)]:
        segments = key[cut:].split(".", _MAX_SEGMENTS)
        if not segments[0].isdigit():
            continue
        value = attributes.pop(key)
        node = tree
        for segment in segments[:-1]:
            child = node.get(segment)
            if type(child) is not dict:
                child = node[segment] = {} if child is None else {"value": child}
            node = child
        last = node.get(segments[-1])
        if type(last) is dict:
            last["value"] = value
        else:
            node[segments[-1]] = value
    listed = _listed(tree)
    return listed if type(listed) is list else []


def _listed(node: Any) -> Any:
    if type(node) is not dict:
        return node
    if node and all(key.isascii() and key.isdigit() and len(key) <= 18 for key in node):
        return [_listed(node[key]) for key in sorted(node, key=int)]
    return {key: _listed(value) for key, value in node.items()}


def tool_call(call: Any, cleaner: Cleaner) -> dict[str, Any]:
    """One tool call from OpenAI's shape ({"id", "function": {…}}) or a flat one, as a message
    part.
    """
    if type(call) is not dict:
        return {"type": "tool_call", "arguments": call}
    call = call.get("tool_call") if type(call.get("tool_call")) is dict else call
    function = call.get("function")
    function = function if type(function) is dict else call
    name = function.get("name") or call.get("function.name")
    arguments = function.get("arguments")
    part = {
        "type": "tool_call",
        "id": call.get("id"),
        "name": name,
        "arguments": parse_clean(arguments, cleaner),
    }
    return {key: value for key, value in part.items() if value is not None}


def message(role: Any, content: Any, calls: Any, cleaner: Cleaner, **more: Any) -> dict[str, Any]:
    """One message; tool calls make it a list of parts."""
    result: dict[str, Any] = {"role": role if type(role) is str and role else "user"}
    if type(calls) is list and calls:
        parts = [tool_call(call, cleaner) for call in calls]
        if type(content) is list:
            parts = [*content, *parts]
        elif content:
            parts.insert(0, {"type": "text", "content": content})
        result["parts"] = parts
    elif type(content) is list:
        result["parts"] = content
    else:
        result["content"] = content
    result.update({key: value for key, value in more.items() if value is not None})
    return result


def as_messages(value: Any, role: str) -> list[Any]:
    """`value` as a list of messages; bare text becomes one of `role`."""
    if value is None:
        return []
    if type(value) is list:
        return [item if type(item) is dict else {"role": role, "content": item} for item in value]
    if type(value) is dict and ("role" in value or "parts" in value or "content" in value):
        return [value]
    return [{"role": role, "content": value}]
