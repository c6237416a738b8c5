"""An Anthropic Messages request as Chat Completions wants it (pure)."""

from typing import Any

from gateway.dialects import model_traits
from gateway.dialects.block_parts import content_of, json_text, text_of
from gateway.dialects.chat_fitting import fit, without_searches
from gateway.dialects.equivalents import EFFORTS, effort_of_budget
from gateway.dialects.passing import TranslationError
from gateway.dialects.schemas import is_strict
from gateway.dialects.tool_ids import openai_user, unpacked

_REFUSED = ("mcp_servers",)
_HINTS = (
    "container",
    "context_management",
    "inference_geo",
    "speed",
    "diagnostics",
    "user_profile_id",
    "workspace_id",
)


def chat_request(
    document: dict[str, Any], *, model: str, kind: str, dropped: list[str]
) -> dict[str, Any]:
    """The body for Chat Completions. `kind` is the connection's. Raises TranslationError.

    `dropped` gets the names of what only hints and has no counterpart.
    """
    for field in _REFUSED:
        if document.get(field):
            raise TranslationError(field, "Only a model on Anthropic can do this.")
    dropped += [field for field in _HINTS if document.get(field) is not None]
    messages: list[dict[str, Any]] = []
    if document.get("system"):
        messages.append({"role": "system", "content": text_of(document["system"])})
    keeps_thinking = model_traits.wants_reasoning_back(model)
    for place, turn in enumerate(document["messages"]):
        _add_turn(messages, turn, f"messages.{place}.content", keeps_thinking=keeps_thinking)
    made: dict[str, Any] = {"model": model, "messages": messages}
    if document.get("max_tokens"):
        made[model_traits.limit_field(model, kind)] = document["max_tokens"]
    _add_tools(made, document, dropped)
    _add_parameters(made, document, kind, dropped)
    _add_thinking(made, document, dropped)
    _add_format(made, document)
    if document.get("stream"):
        made["stream"] = True
        made["stream_options"] = {"include_usage": True}
    fit(made, kind=kind, dropped=dropped)
    return made


def _add_turn(
    messages: list[dict[str, Any]], turn: dict[str, Any], field: str, *, keeps_thinking: bool
) -> None:
    role, content = turn.get("role"), turn.get("content")
    if type(content) is not list:
        messages.append({"role": role, "content": content or ""})
        return
    if role == "assistant":
        messages.append(_said(content, field, keeps_thinking=keeps_thinking))
        return
    if role == "system":
        messages.append({"role": "system", "content": text_of(content)})
        return
    # Results answer the calls before them at once; pictures in them have no place there, so they follow.
    rest: list[dict[str, Any]] = []
    for place, block in enumerate(content):
        if block.get("type") == "tool_result":
            messages.append(_result(block, f"{field}.{place}", rest))
        else:
            rest.append(block)
    if rest and (given := content_of(rest, field)):
        messages.append({"role": "user", "content": given})


def _said(blocks: list[dict[str, Any]], field: str, *, keeps_thinking: bool) -> dict[str, Any]:
    calls = [_call(block) for block in blocks if block.get("type") == "tool_use"]
    text = content_of([block for block in blocks if block.get("type") != "tool_use"], field)
    made: dict[str, Any] = {"role": "assistant", "content": text or (None if calls else "")}
    if calls:
        made["tool_calls"] = calls
    if calls and keeps_thinking:
        thoughts = [block["thinking"] for block in blocks if block.get("type") == "thinking"]
        if thought := "".join(text for text in thoughts if type(text) is str):
            made["reasoning_content"] = thought
    return made


def _call(block: dict[str, Any]) -> dict[str, Any]:
    name, extra = unpacked(str(block.get("id") or ""))
    function = {"name": block.get("name"), "arguments": json_text(block.get("input") or {})}
    made = {"id": name, "type": "function", "function": function}
    if extra is not None:
        made["extra_content"] = extra
    return made


def _result(block: dict[str, Any], field: str, rest: list[dict[str, Any]]) -> dict[str, Any]:
    name, _ = unpacked(str(block.get("tool_use_id") or ""))
    content = block.get("content")
    if type(content) is list:
        rest += [one for one in content if one.get("type") in ("image", "document")]
        readable = [one for one in content if one.get("type") not in ("image", "document")]
        text = content_of(readable, f"{field}.content")
    else:
        text = content or ""
    if block.get("is_error") and not str(text).lower().startswith("error"):
        text = f"Error: {text}"
    return {"role": "tool", "tool_call_id": name, "content": text}


def _add_tools(made: dict[str, Any], document: dict[str, Any], dropped: list[str]) -> None:
    choice = document.get("tool_choice")
    given = without_searches(document.get("tools") or [], choice, dropped)
    tools = [_tool(tool, place) for place, tool in enumerate(given)]
    if not tools:
        return
    made["tools"] = tools
    if type(choice) is not dict:
        return
    kind = choice.get("type")
    if kind == "tool":
        made["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}}
    elif kind in ("any", "none"):
        made["tool_choice"] = "required" if kind == "any" else "none"
    if choice.get("disable_parallel_tool_use"):
        made["parallel_tool_calls"] = False


def _tool(tool: Any, place: int) -> dict[str, Any]:
    if type(tool) is not dict or type(tool.get("input_schema")) is not dict:
        kind = tool.get("type") if type(tool) is dict else None
        text = f"The tool {kind!r} is Anthropic's own; other models have only tools with a schema."
        raise TranslationError(f"tools.{place}", text)
    function: dict[str, Any] = {"name": tool.get("name"), "parameters": tool["input_schema"]}
    if tool.get("description"):
        function["description"] = tool["description"]
    if tool.get("strict") and is_strict(tool["input_schema"]):
        function["strict"] = True
    return {"type": "function", "function": function}


def _add_parameters(
    made: dict[str, Any], document: dict[str, Any], kind: str, dropped: list[str]
) -> None:
    if document.get("stop_sequences"):
        made["stop"] = document["stop_sequences"]
    for name in ("temperature", "top_p"):
        if document.get(name) is not None:
            made[name] = document[name]
    if document.get("top_k") is not None:
        if kind == "compatible":
            made["top_k"] = document["top_k"]
        else:
            dropped.append("top_k")
    user = (document.get("metadata") or {}).get("user_id")
    if type(user) is str and user:
        made["user"] = openai_user(user)
    tier = document.get("service_tier")
    if tier in ("auto", "standard_only"):
        made["service_tier"] = "auto" if tier == "auto" else "default"


def _add_thinking(made: dict[str, Any], document: dict[str, Any], dropped: list[str]) -> None:
    thinking = document.get("thinking") or {}
    effort = (document.get("output_config") or {}).get("effort")
    if effort not in EFFORTS:
        kind = thinking.get("type")
        effort = effort_of_budget(thinking.get("budget_tokens")) if kind == "enabled" else None
    if effort is None:
        return
    if model_traits.takes_effort(made["model"]):
        made["reasoning_effort"] = effort
    else:
        dropped.append("thinking" if thinking else "output_config.effort")


def _add_format(made: dict[str, Any], document: dict[str, Any]) -> None:
    wanted = (document.get("output_config") or {}).get("format") or document.get("output_format")
    if type(wanted) is not dict or wanted.get("type") != "json_schema":
        return
    schema = wanted.get("schema")
    asked = {"name": "answer", "schema": schema, "strict": is_strict(schema)}
    made["response_format"] = {"type": "json_schema", "json_schema": asked}
