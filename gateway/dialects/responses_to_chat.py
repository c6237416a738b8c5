"""A Responses request as Chat Completions wants it, for servers that have no Responses (pure)."""

from typing import Any

from gateway.dialects import model_traits
from gateway.dialects.chat_fitting import fit, without_searches
from gateway.dialects.passing import TranslationError
from gateway.dialects.tool_ids import openai_user, unpacked

# Each needs what only a server with stored responses has.
_STATEFUL = ("previous_response_id", "conversation", "prompt", "background")
_HINTS = (
    "include", "truncation", "max_tool_calls", "context_management", "store", "metadata",
    "prompt_cache_options", "prompt_cache_retention", "moderation", "access_programs",
)  # fmt: skip
_SAME = (
    "temperature", "top_p", "parallel_tool_calls", "service_tier", "user", "safety_identifier",
    "prompt_cache_key",
)  # fmt: skip
_TEXTS = ("input_text", "output_text", "text")


def chat_request(
    document: dict[str, Any], *, model: str, kind: str, dropped: list[str]
) -> dict[str, Any]:
    """The body for Chat Completions. `kind` is the connection's. Raises TranslationError.

    `dropped` gets the names of what only hints and has no counterpart.
    """
    for field in _STATEFUL:
        if document.get(field):
            raise TranslationError(field, "The server behind this model keeps no responses.")
    dropped += [field for field in _HINTS if document.get(field) is not None]
    made: dict[str, Any] = {"model": model, "messages": _messages(document)}
    made.update((name, document[name]) for name in _SAME if document.get(name) is not None)
    if type(made.get("user")) is str:
        made["user"] = openai_user(made["user"])
    if document.get("max_output_tokens"):
        made[model_traits.limit_field(model, kind)] = document["max_output_tokens"]
    if document.get("top_logprobs"):
        made["logprobs"], made["top_logprobs"] = True, document["top_logprobs"]
    _add_tools(made, document, dropped)
    _add_text(made, document.get("text"))
    _add_effort(made, document, dropped)
    if document.get("stream"):
        made["stream"] = True
        made["stream_options"] = {"include_usage": True}
    # A Claude model at the end of the line is fitted by its own translation.
    if kind != "anthropic":
        fit(made, kind=kind, dropped=dropped)
    return made


def _add_effort(made: dict[str, Any], document: dict[str, Any], dropped: list[str]) -> None:
    effort, model = (document.get("reasoning") or {}).get("effort"), made["model"]
    if effort is None or effort == "none":
        return
    if model_traits.takes_effort(model) or model_traits.is_claude(model):
        made["reasoning_effort"] = effort
    else:
        dropped.append("reasoning")


# --- Items


def _messages(document: dict[str, Any]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    if document.get("instructions"):
        messages.append({"role": "system", "content": document["instructions"]})
    given = document.get("input")
    if type(given) is str:
        messages.append({"role": "user", "content": given})
    else:
        for place, item in enumerate(given or ()):
            _add_item(messages, item, f"input.{place}")
    return messages


def _add_item(messages: list[dict[str, Any]], item: dict[str, Any], field: str) -> None:
    kind = item.get("type")
    if kind == "function_call":
        _add_call(messages, item)
    elif kind == "function_call_output":
        _add_result(messages, item, field)
    elif kind in (None, "message"):
        _add_message(messages, item, field)
    elif kind != "reasoning":  # another provider's reasoning says nothing to this one
        text = f"Items of type {kind!r} cannot be given to a server that has no Responses."
        raise TranslationError(f"{field}.type", text)


def _add_message(messages: list[dict[str, Any]], item: dict[str, Any], field: str) -> None:
    role = "system" if item.get("role") == "developer" else item.get("role")
    content = item.get("content")
    if type(content) is list:
        parts = [_part(part, f"{field}.content.{place}") for place, part in enumerate(content)]
        if role != "user" or all(part["type"] == "text" for part in parts):
            content = "\n".join(str(part.get("text") or "") for part in parts)
        else:
            content = parts
    messages.append({"role": role, "content": content or ""})


def _part(part: dict[str, Any], field: str) -> dict[str, Any]:
    kind = part.get("type")
    if kind in _TEXTS or kind == "refusal":
        return {"type": "text", "text": str(part.get("text") or part.get("refusal") or "")}
    if kind == "input_image" and part.get("image_url"):
        image = {"url": part["image_url"]}
        if part.get("detail") not in (None, "auto"):
            image["detail"] = part["detail"]
        return {"type": "image_url", "image_url": image}
    if kind == "input_file" and part.get("file_data"):
        name = part.get("filename") or "file"
        return {"type": "file", "file": {"filename": name, "file_data": part["file_data"]}}
    if kind == "input_audio":
        return {"type": "input_audio", "input_audio": part.get("input_audio")}
    text = "Give files as file_data and images as image_url: this server keeps no files."
    if kind not in ("input_image", "input_file"):
        text = f"Parts of type {kind!r} cannot be given to this server."
    raise TranslationError(field, text)


def _add_call(messages: list[dict[str, Any]], item: dict[str, Any]) -> None:
    """Calls of one turn go into one message, with the text before them."""
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": None})
    name, extra = unpacked(str(item.get("call_id") or item.get("id") or ""))
    function = {"name": item.get("name"), "arguments": item.get("arguments") or "{}"}
    call = {"id": name, "type": "function", "function": function}
    if extra is not None:
        call["extra_content"] = extra
    messages[-1].setdefault("tool_calls", []).append(call)


def _add_result(messages: list[dict[str, Any]], item: dict[str, Any], field: str) -> None:
    name, _ = unpacked(str(item.get("call_id") or ""))
    output = item.get("output")
    others: list[dict[str, Any]] = []
    if type(output) is list:
        parts = [_part(part, f"{field}.output.{place}") for place, part in enumerate(output)]
        others = [part for part in parts if part["type"] != "text"]
        output = "\n".join(part["text"] for part in parts if part["type"] == "text")
    messages.append({"role": "tool", "tool_call_id": name, "content": output or ""})
    if others:
        messages.append({"role": "user", "content": others})


# --- Tools and text


def _add_tools(made: dict[str, Any], document: dict[str, Any], dropped: list[str]) -> None:
    choice = document.get("tool_choice")
    given = without_searches(document.get("tools") or [], choice, dropped)
    tools = [_tool(tool, place) for place, tool in enumerate(given)]
    if not tools:
        made.pop("parallel_tool_calls", None)
        return
    if type(choice) is dict and choice.get("type") == "allowed_tools":
        names = {one.get("name") for one in choice.get("tools") or ()}
        tools = [tool for tool in tools if tool["function"]["name"] in names]
        choice = choice.get("mode")
    made["tools"] = tools
    if type(choice) is dict:
        if choice.get("type") != "function":
            raise TranslationError("tool_choice", "This server has functions only.")
        choice = {"type": "function", "function": {"name": choice.get("name")}}
    if choice is not None:
        made["tool_choice"] = choice


def _tool(tool: dict[str, Any], place: int) -> dict[str, Any]:
    if tool.get("type") != "function":
        text = f"The tool {tool.get('type')!r} is OpenAI's own; this server has functions only."
        raise TranslationError(f"tools.{place}", text)
    names = ("name", "description", "parameters", "strict")
    function = {name: tool[name] for name in names if tool.get(name) is not None}
    return {"type": "function", "function": function}


def _add_text(made: dict[str, Any], text: Any) -> None:
    if type(text) is not dict:
        return
    if text.get("verbosity"):
        made["verbosity"] = text["verbosity"]
    wanted = text.get("format")
    if type(wanted) is not dict or wanted.get("type") in (None, "text"):
        return
    if wanted["type"] != "json_schema":
        made["response_format"] = {"type": wanted["type"]}
        return
    names = ("name", "description", "schema", "strict")
    asked = {name: wanted[name] for name in names if wanted.get(name) is not None}
    made["response_format"] = {"type": "json_schema", "json_schema": asked}
