"""A Chat Completions request as Anthropic's Messages wants it (pure)."""

from typing import Any

import msgspec

from gateway.dialects import model_traits
from gateway.dialects.chat_parts import blocks_of, cache_mark
from gateway.dialects.equivalents import BUDGETS, EFFORTS, MIN_BUDGET, MOST_BUDGET
from gateway.dialects.passing import TranslationError
from gateway.dialects.schemas import closed
from gateway.dialects.tool_ids import anthropic_id, anthropic_user

# The tool that stands in for structured output where a model has none.
JSON_TOOL = "answer_in_json"
_JSON_ONLY = "Answer with one JSON object and nothing else."
# Without them the answer would be another one: better refused than ignored.
_REFUSED = ("audio", "web_search_options", "logprobs", "functions", "moderation")
_HINTS = (
    "frequency_penalty", "presence_penalty", "logit_bias", "seed", "prediction", "verbosity",
    "store", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "top_logprobs",
    "min_p", "repetition_penalty",
)  # fmt: skip
_NO_INPUT = {"type": "object", "properties": {}}


def messages_request(
    document: dict[str, Any], *, model: str, dropped: list[str]
) -> tuple[dict[str, Any], bool]:
    """The body for Messages, and whether JSON_TOOL stands in for structured output. Raises TranslationError.

    `dropped` gets the names of what only hints and has no counterpart.
    """
    _refuse(document, dropped)
    system, turns = _turns(document["messages"])
    made: dict[str, Any] = {"model": model, "messages": turns}
    stated = document.get("max_completion_tokens") or document.get("max_tokens")
    stated = stated if type(stated) is int and stated > 0 else None
    made["max_tokens"] = stated or model_traits.default_max_tokens(model)
    uses_json_tool = _add_tools(made, document, system)
    if system:
        is_plain = len(system) == 1 and len(system[0]) == 2
        made["system"] = system[0]["text"] if is_plain else system
    _add_thinking(made, document.get("reasoning_effort"), is_limited=stated is not None)
    _add_sampling(made, document, dropped)
    stop = document.get("stop")
    stops = [stop] if type(stop) is str else stop or []
    if stops := [text for text in stops if type(text) is str and text.strip()]:
        made["stop_sequences"] = stops
    if user := document.get("user") or document.get("safety_identifier"):
        made["metadata"] = {"user_id": anthropic_user(str(user))}
    if document.get("stream"):
        made["stream"] = True
    _add_tier(made, document.get("service_tier"), dropped)
    return made, uses_json_tool


def _refuse(document: dict[str, Any], dropped: list[str]) -> None:
    for field in _REFUSED:
        if document.get(field):
            raise TranslationError(field, "A model on Anthropic cannot do this.")
    if document.get("n") not in (None, 1):
        raise TranslationError("n", "A model on Anthropic gives one answer.")
    if document.get("modalities") not in (None, ["text"]):
        raise TranslationError("modalities", "A model on Anthropic answers in text.")
    dropped += [field for field in _HINTS if document.get(field) is not None]


# --- Messages


def _turns(messages: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """System blocks, and turns that alternate: results of parallel tool calls share one."""
    system: list[dict[str, Any]] = []
    turns: list[dict[str, Any]] = []
    for place, message in enumerate(messages):
        role, field = message.get("role"), f"messages.{place}.content"
        if role in ("system", "developer"):
            system += blocks_of(message.get("content"), field)
            continue
        if role == "assistant":
            blocks = _said(message, field)
        elif role == "tool":
            role, blocks = "user", [_result(message, field)]
        elif role == "user":
            blocks = blocks_of(message.get("content"), field)
        else:
            raise TranslationError(f"messages.{place}.role", f"Unknown role {role!r}.")
        _append(turns, role, blocks)
    if not turns and system:
        turns = [{"role": "user", "content": [system.pop()]}]
    if turns and turns[0]["role"] == "assistant":
        turns.insert(0, {"role": "user", "content": [{"type": "text", "text": "Continue."}]})
    for turn in turns:
        _simplify(turn)
    return system, turns


def _append(turns: list[dict[str, Any]], role: str, blocks: list[dict[str, Any]]) -> None:
    if not blocks:
        return
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"] += blocks
    else:
        turns.append({"role": role, "content": blocks})


def _simplify(turn: dict[str, Any]) -> None:
    blocks = turn["content"]
    if len(blocks) == 1 and blocks[0]["type"] == "text" and len(blocks[0]) == 2:
        turn["content"] = blocks[0]["text"]


def _said(message: dict[str, Any], field: str) -> list[dict[str, Any]]:
    """An assistant's message: its thinking as the client kept it, its text, its tool calls."""
    thinking = message.get("thinking_blocks")
    blocks = [one for one in thinking if type(one) is dict] if type(thinking) is list else []
    blocks += blocks_of(message.get("content"), field)
    if not message.get("content") and message.get("refusal"):
        blocks += blocks_of(message["refusal"], field)
    calls = message.get("tool_calls") or []
    if message.get("function_call"):
        raise TranslationError("messages", "Use tool_calls: function_call has no counterpart.")
    for call in calls:
        function = call.get("function") if type(call) is dict else None
        if type(function) is not dict or type(function.get("name")) is not str:
            raise TranslationError(
                field.replace("content", "tool_calls"),
                "Only calls of functions can be given to a model on Anthropic.",
            )
        name = anthropic_id(str(call.get("id") or ""))
        given = _input(function.get("arguments"))
        blocks.append({"type": "tool_use", "id": name, "name": function["name"], "input": given})
    return blocks


def _input(arguments: Any) -> dict[str, Any]:
    """A call's arguments; a model's broken JSON goes back as it was, for the model to see."""
    if type(arguments) is dict:
        return arguments
    if type(arguments) is not str or not arguments.strip():
        return {}
    try:
        found = msgspec.json.decode(arguments.encode("utf-8", "surrogatepass"))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        found = None
    return found if type(found) is dict else {"arguments": arguments}


def _result(message: dict[str, Any], field: str) -> dict[str, Any]:
    name = anthropic_id(str(message.get("tool_call_id") or ""))
    made: dict[str, Any] = {"type": "tool_result", "tool_use_id": name}
    blocks = blocks_of(message.get("content"), field)
    if blocks:
        is_plain = len(blocks) == 1 and len(blocks[0]) == 2 and blocks[0]["type"] == "text"
        made["content"] = blocks[0]["text"] if is_plain else blocks
    if mark := cache_mark(message):
        made["cache_control"] = mark
    return made


# --- Tools, structured output


def _add_tools(
    made: dict[str, Any], document: dict[str, Any], system: list[dict[str, Any]]
) -> bool:
    tools = [_tool(tool, place) for place, tool in enumerate(document.get("tools") or ())]
    choice = document.get("tool_choice")
    if type(choice) is dict and choice.get("type") == "allowed_tools":
        tools, choice = _allowed(tools, choice.get("allowed_tools") or choice)
    uses_json_tool = _add_format(made, document.get("response_format"), tools, system)
    if not tools:
        return False
    made["tools"] = tools
    wanted: dict[str, Any]
    wanted = {"type": "tool", "name": JSON_TOOL} if uses_json_tool else _choice(choice)
    if document.get("parallel_tool_calls") is False and wanted.get("type") != "none":
        wanted["disable_parallel_tool_use"] = True
    if len(wanted) > 1 or wanted["type"] != "auto":
        made["tool_choice"] = wanted
    return uses_json_tool


def _tool(tool: Any, place: int) -> dict[str, Any]:
    function = tool.get("function") if type(tool) is dict else None
    if type(function) is not dict or type(function.get("name")) is not str:
        raise TranslationError(
            f"tools.{place}", "Only functions can be given to a model on Anthropic."
        )
    schema = function.get("parameters") or _NO_INPUT
    # Which OpenAI takes for granted.
    schema = schema if "type" in schema else {"type": "object", **schema}
    made: dict[str, Any] = {"name": function["name"], "input_schema": schema}
    if function.get("description"):
        made["description"] = function["description"]
    if function.get("strict"):
        made["strict"] = True
        made["input_schema"] = closed(made["input_schema"])
    if mark := cache_mark(tool) or cache_mark(function):
        made["cache_control"] = mark
    return made


def _allowed(
    tools: list[dict[str, Any]], allowed: dict[str, Any]
) -> tuple[list[dict[str, Any]], Any]:
    listed = allowed.get("tools") or ()
    names = {(one.get("function") or one).get("name") for one in listed if type(one) is dict}
    return [tool for tool in tools if tool["name"] in names], allowed.get("mode", "auto")


def _choice(choice: Any) -> dict[str, Any]:
    if type(choice) is dict:
        function = choice.get("function")
        if type(function) is dict and type(function.get("name")) is str:
            return {"type": "tool", "name": function["name"]}
        raise TranslationError("tool_choice", "It must name a function.")
    return {"type": {"required": "any", "none": "none"}.get(choice or "auto", "auto")}


def _add_format(
    made: dict[str, Any], wanted: Any, tools: list[dict[str, Any]], system: list[dict[str, Any]]
) -> bool:
    """Structured output: the provider's own where the model has it, else a tool, which then must be the only one."""
    kind = wanted.get("type") if type(wanted) is dict else None
    if kind == "json_object":
        system.append({"type": "text", "text": _JSON_ONLY})
    if kind != "json_schema":
        return False
    schema = (wanted.get("json_schema") or {}).get("schema") or _NO_INPUT
    if model_traits.takes_json_schema(made["model"]):
        made["output_config"] = {"format": {"type": "json_schema", "schema": closed(schema)}}
        return False
    if tools:
        text = "This model cannot be given tools and a JSON schema for its answer at once."
        raise TranslationError("response_format", text)
    about = (wanted.get("json_schema") or {}).get("description") or "Give the answer."
    tools.append({"name": JSON_TOOL, "description": about, "input_schema": schema})
    return True


# --- Parameters


def _add_thinking(made: dict[str, Any], effort: Any, *, is_limited: bool) -> None:
    """How much to think. Older models want a budget below the limit and can't be forced to a tool meanwhile."""
    if effort == "none":
        if model_traits.claude_version(made["model"]) >= (5, 0):
            made["thinking"] = {"type": "disabled"}
        return
    if effort not in EFFORTS:
        return
    forced = (made.get("tool_choice") or {}).get("type") in ("any", "tool")
    if model_traits.thinks_adaptively(made["model"]):
        config = made.setdefault("output_config", {})
        config["effort"] = "low" if effort == "minimal" else effort
        if not forced and not _has_unsigned_call(made["messages"]):
            made["thinking"] = {"type": "adaptive", "display": "summarized"}
        return
    budget = BUDGETS[effort]
    if is_limited:
        budget = min(budget, made["max_tokens"] // 2)
    else:
        # Together no more than the quotas set aside for a Claude model without a stated limit.
        budget = min(budget, MOST_BUDGET)
        made["max_tokens"] += budget
    if budget >= MIN_BUDGET and not forced and not _has_unsigned_call(made["messages"]):
        made["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _has_unsigned_call(turns: list[dict[str, Any]]) -> bool:
    """Whether tool results answer calls whose thinking the client did not keep: Anthropic then refuses to think on."""
    for turn in reversed(turns):
        if turn["role"] == "assistant":
            blocks = turn["content"] if type(turn["content"]) is list else []
            return any(one["type"] == "tool_use" for one in blocks) and blocks[0]["type"] not in (
                "thinking",
                "redacted_thinking",
            )
    return False


def _add_sampling(made: dict[str, Any], document: dict[str, Any], dropped: list[str]) -> None:
    """Temperature (at most 1 here) or top_p, not both; neither for models that refuse them or while thinking."""
    temperature: Any = document.get("temperature")
    top_p = document.get("top_p")
    if not model_traits.takes_sampling(made["model"]) or "thinking" in made:
        dropped += [name for name in ("temperature", "top_p") if document.get(name) is not None]
    elif type(temperature) in (int, float):
        made["temperature"] = min(temperature, 1)
        if top_p is not None:
            dropped.append("top_p")
    elif top_p is not None:
        made["top_p"] = top_p


def _add_tier(made: dict[str, Any], tier: Any, dropped: list[str]) -> None:
    if tier in ("auto", "priority"):
        made["service_tier"] = "auto"
    elif tier == "default":
        made["service_tier"] = "standard_only"
    elif tier is not None:
        dropped.append("service_tier")
